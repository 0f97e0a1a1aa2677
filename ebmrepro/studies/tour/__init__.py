"""Five questions that one energy can answer, put to every trained system of a suite.

Decision, ranking, detection, conditional density and generation need nothing but energies up to a
constant (and, some of them, a gradient): no partition function. Each question is a file that
prepares what all systems are asked, and asks one trained model what it can answer: labels need
`joint_free_energy`, projection needs `reconstruct`, clamped sampling needs `complete`.

`write` leaves results/<suite>/tour/: metrics.json, tour.npz (what the report draws), PNG grids. The
names in metrics.json, with S the name of a system; one value for each training seed. Errors in
pixels are root mean squares of values in [-1, 1]. Names without @S depend on no trained model.

    decision        (systems with joint_free_energy)
    error_joint@S                  share of test images whose argmin_y F(x, y) is not their label
    error_joint_noisy@S            the same with noise on the images
    digit_error_alone@S            share of wrong labels in counting sequences of noisy images, each
                                   label by itself
    digit_error_chain@S            the same, argmin of sum F(x_t, y_t) + sum V(y_t, y_t+1)
    digit_error_scaled@S           the same with F / T for F, T fitted on noisy training images
    sequence_error_alone@S         share of sequences with a wrong label, three times as above
    sequence_error_chain@S
    sequence_error_scaled@S
    chain_gain@S                   digit_error_alone - digit_error_scaled: above 0 where V helps
    digit_error_alone_random@S     the same on sequences of labels in random order, which V does
    digit_error_scaled_random@S    not fit
    chain_gain_random@S
    viterbi_exact@S                share of sequences, cut to `brute_force` labels, whose least
    min_sum_exact@S                energy is that of the search over all labellings
    evaluations_doubling_viterbi   evaluations at twice the largest of `lengths` over those at it
    evaluations_doubling_min_sum
    evaluations_step_brute_force   evaluations at `brute_force` labels over those at one fewer

    ranking         (all systems), C one of noise, occlusion, blur, inversion
    tau_C@S                        Kendall's tau of amount and energy, mean over images
    ordered_C@S                    share of pairs of amounts whose energies are ordered alike

    detection       (all systems), K one of noise, shuffled, patches, mirrored, turned, averaged and
                    the suite's `others`
    auroc_K@S                      AUROC of energy, K against test images

    conditional     (systems with joint_free_energy)
    accuracy@S                     share of test images that are right; T cannot change it
    confidence@S                   mean probability of the likeliest label, at T = 1
    confidence_scaled@S            the same at the fitted T
    log_loss@S                     mean of -log p(y|x) on test images, in nats, at T = 1
    log_loss_scaled@S              the same at the fitted T
    log_loss_gain@S                log_loss - log_loss_scaled
    ece@S                          expected calibration error on test images, at T = 1
    ece_scaled@S                   the same at the fitted T
    ece_gain@S                     ece - ece_scaled
    temperature@S                  the fitted T
    log_loss_uniform               of p(y|x) = 1 / classes

    generation      (all systems)
    denoise_error_noisy            error of the noisy test images
    denoise_error_linear           of the best linear filter: no energy
    denoise_error_descent@S        descending the energy, stopped as is best on training images
    denoise_error_projection@S     of the reconstruction, where there is one
    denoise_gain_descent@S         denoise_error_noisy - denoise_error_descent
    denoise_gain_projection@S
    denoise_steps@S                steps of the descent before it is stopped
    complete_error_mean            error in the right half, filled with the training images' mean
    complete_error_linear          filled with the best linear guess from the left half
    complete_error_descent@S       filled by descending the energy from the mean, stopped as above
    complete_error_gibbs@S         filled by clamped Gibbs sampling, where the method can
    complete_gain_descent@S        complete_error_mean - complete_error_descent
    complete_gain_gibbs@S
    sample_distance_test           distance of a test image from the nearest training image, mean
    sample_distance_own@S          the same of images drawn by the method's own sampler
    sample_distance_descent@S      the same of images descended from noise
"""

from ebmrepro.studies.tour.ask import write

__all__ = ["write"]
