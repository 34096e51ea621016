// Filled in with the job form.
