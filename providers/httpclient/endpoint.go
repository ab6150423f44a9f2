package httpclient

import (
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/providers"
)

// Open returns the HTTP client of an account with the settings e. It also returns the maximum
// number of recipients in one call of the account. The parameters "baseURL" and "limit" are the
// provider's default base URL and its maximum number of recipients. The settings may lower the
// limit. Errors of the client never show the secrets. The error of Open joins a *FieldError for
// each mistake.
func Open(e providers.Endpoint, baseURL string, limit int, secrets ...providers.Secret) (*Client, int, error) {
	return OpenUpTo(e, baseURL, limit, limit, secrets...)
}

// OpenUpTo is like Open, for a gateway that publishes no limit of recipients. An account may set
// the maximum number of recipients in one call to any number from 1 to the parameter "highest". If
// the account does not set it, the parameter "usual" is the maximum.
func OpenUpTo(e providers.Endpoint, baseURL string, usual, highest int, secrets ...providers.Secret) (*Client, int, error) {
	if e.BaseURL == "" {
		e.BaseURL = baseURL
	}
	client, err := NewClient(ClientConfig{
		BaseURL: e.BaseURL, Timeout: e.Timeout, Concurrency: e.Concurrency, AllowHTTP: e.AllowHTTP, Secrets: secrets,
	})
	if e.MaxRecipients < 0 || e.MaxRecipients > highest {
		what := fmt.Sprintf("must be 1 to %d: an account may lower the gateway's limit, but not raise it", highest)
		switch {
		case highest == 1:
			what = "must be 1: a call to this gateway carries one number"
		case usual < highest:
			what = fmt.Sprintf("must be 1 to %d", highest)
		}
		err = errors.Join(providers.Mistake("max_recipients", what), err)
	}
	if err != nil {
		return nil, 0, err
	}
	if e.MaxRecipients > 0 {
		return client, e.MaxRecipients, nil
	}
	return client, usual, nil
}
