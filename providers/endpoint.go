package providers

import (
	"errors"
	"fmt"
	"time"
)

// Endpoint is what the configuration of every account has, whatever its provider.
type Endpoint struct {
	// BaseURL is scheme, host and any prefix. Default: the provider's own.
	BaseURL string
	// Timeout bounds a whole HTTP call. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxRecipients lowers the number of recipients a call may carry. Default: the
	// provider's own limit.
	MaxRecipients int
	// Concurrency is the number of calls in flight. Default: DefaultConcurrency.
	Concurrency int
	// AllowHTTP permits plain http to a host that is not loopback.
	AllowHTTP bool
}

// Open returns the client of an account at a provider with this base URL and limit
// of recipients, and how many recipients a call of the account may carry. Its error
// joins a *FieldError for each mistake.
func (e Endpoint) Open(baseURL string, limit int, secrets ...Secret) (*Client, int, error) {
	if e.BaseURL == "" {
		e.BaseURL = baseURL
	}
	client, err := NewClient(ClientConfig{
		BaseURL: e.BaseURL, Timeout: e.Timeout, Concurrency: e.Concurrency, AllowHTTP: e.AllowHTTP, Secrets: secrets,
	})
	if e.MaxRecipients < 0 || e.MaxRecipients > limit {
		what := fmt.Sprintf("must be 1 to %d: it may lower the gateway's limit, never raise it", limit)
		if limit == 1 {
			what = "must be 1: a call to this gateway carries one number"
		}
		err = errors.Join(Mistake("max_recipients", what), err)
	}
	if err != nil {
		return nil, 0, err
	}
	if e.MaxRecipients > 0 {
		limit = e.MaxRecipients
	}
	return client, limit, nil
}

// Missing returns a *FieldError that says a field is missing if value is empty, and
// nil otherwise.
func Missing(field, value string) error {
	if value != "" {
		return nil
	}
	return Mistake(field, "is missing")
}
