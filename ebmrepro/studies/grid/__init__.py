"""EBGAN's grid of fully connected networks: many small trainings of one suite, scored and compared.

Zhao, Mathieu, LeCun: Energy-based Generative Adversarial Network. ICLR 2017, arXiv:1609.03126,
table 1, figures 2, 3, 4 and 9.

    configurations   which networks there are, and the order in which they are drawn
    play             one configuration from its numbers to images, by the losses of `methods`
    workers          processes that train what is not trained yet, each configuration whole or not
    score            the classifier of ours, I' and the Inception score
    results          results/<suite>/ebgan_grid/<seed>/

The paper gives the table and the margin. Not recoverable from it, so ours: the classifier, the
number of images that are scored, the length of the training, the rate of dropout, the dimension of
z, plain SGD without momentum, ReLU and no leak in every hidden layer, images of 28x28 that are not
padded. Whether I' squares its divergence is not sure (`metrics/modified_inception_score.py`).
Initial weights and the places of batch normalisation are as its appendix is remembered.
"""
