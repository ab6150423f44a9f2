package providers

import (
	"errors"
	"fmt"
	"time"
)

// Endpoint holds the settings that every account has, for any provider. Zero values mean the
// defaults.
type Endpoint struct {
	// BaseURL is the gateway's address: scheme, host and an optional path prefix. Default: the
	// provider's own.
	BaseURL string
	// Timeout bounds a whole HTTP call. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxRecipients lowers the maximum number of recipients in one call. It must not exceed the
	// provider's own limit, which is the default.
	MaxRecipients int
	// Concurrency is the usual number of calls in flight at once. Default: DefaultConcurrency.
	Concurrency int
	// AllowHTTP permits plain http to a host that is not loopback.
	AllowHTTP bool
}

// Open returns the HTTP client of an account and the maximum number of recipients in one of its
// calls. baseURL and limit are the provider's own base URL and maximum number of recipients. Errors
// of the client never show the secrets. The error of Open joins a *FieldError for each mistake.
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

// Missing returns a *FieldError for a missing field if value is empty, and nil otherwise.
func Missing(field, value string) error {
	if value != "" {
		return nil
	}
	return Mistake(field, "is missing")
}
