"""The only room that holds secret values: sealed in our database, or in Azure Key Vault."""
