"""Claims of the papers and of the lecture, joined to measurements over seeds: verdicts.

`form` says what reports/claims.yaml may hold, with the words of vocabulary.yaml, and `claims_file`
reads it; `measurements` finds a statistic's numbers in the result files, with `further` for seeds
beside the run's and `laws` for what a curve obeys in every epoch; `statistics` says where their
mean lies, `verdict` decides, `price` says what deciding would cost, `commands` what to type;
`wording` puts it in words, `judgements` into claims.json, `terminal` on the screen. Nothing here is
ever looked up in MLflow, and nothing imports torch.
"""
