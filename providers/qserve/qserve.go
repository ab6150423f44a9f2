// Package qserve implements a provider for the HTTP API of QServe (Kenya), whose brand is 254sms.
//
// The vendor's documentation is https://dev.qserve.co.ke, called "the vendor's page" here. The
// comments name every other source. The package implements both endpoints on the vendor's page:
// sending and credits. Delivery reports (DLR), airtime, M-Pesa C2B and other M-Pesa integrations
// are not supported. The vendor's page mentions these features in one sentence, without an
// endpoint.
//
// The gateway has no message IDs, so the status of a message cannot be read. The gateway also has
// no idempotency keys, so a call that may have been taken must not be repeated.
//
// The vendor's page shows replies in the form in which a browser displays JSON: names without
// quotes, and a comment. The package assumes that the gateway sends JSON. It accepts a bare object
// as well as an array of one object. In the rows of recipients on the vendor's page, the values of
// statusCode and statusMessage are exchanged. So the package accepts the status in either field.
// Only the rows have the result of each recipient. So the package ignores the fields
// recipientsCount, the outer statusMessage and a row's message, which is a copy of the body. The
// vendor's page explains the codes X000 to X003 with terms that QServe does not use elsewhere:
// secret keys, domains, user tokens. The vendor's page does not name the field of a reply that
// holds these codes.
package qserve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// These values are from https://dev.qserve.co.ke, unless another source is named.
const (
	// Name is the provider's name in the configuration.
	Name = "qserve"
	// DefaultBaseURL is the address to which the documented paths are appended.
	DefaultBaseURL = "https://api.qserve.co.ke"
	// MaxRecipients is the maximum number of recipients in one call. The vendor's page publishes no limit; 100
	// is Tuma's choice, and max_recipients may lower it.
	MaxRecipients = 100
	// DefaultSender is sent for a batch without a sender ID.
	DefaultSender = "254sms"

	sendPath    = "/version1/sendsms"
	creditsPath = "/version1/credits"

	jsonContentType = "application/json"
)

const (
	opSend    = "qserve send"
	opBalance = "qserve balance"
)

// Config configures a Provider.
type Config struct {
	providers.Endpoint
	// Username and APIKey are the login. Both are required.
	Username string
	APIKey   providers.Secret
}

// Provider sends through one account at QServe. It can also read the account's credits. It is safe for
// concurrent use.
type Provider struct {
	client *httpclient.Client
	info   providers.Info
	login  login
}

// login holds the first fields of every request.
type login struct {
	username string
	// apiKey is a pointer, so that fmt does not print the secret text. For a Secret value in an unexported
	// field, fmt would print the text, because it does not call the methods of such a value.
	apiKey *providers.Secret
}

// New returns a Provider. The returned error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	client, limit, err := httpclient.Open(cfg.Endpoint, DefaultBaseURL, MaxRecipients, cfg.APIKey)
	if err = errors.Join(providers.Missing("username", cfg.Username), providers.Missing("api_key", cfg.APIKey.Reveal()), err); err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.Username), MaxRecipients: limit, SenderOptional: true,
	}
	return &Provider{client: client, info: info, login: login{cfg.Username, &cfg.APIKey}}, nil
}

// Kind returns QServe's entry for the catalog: its name, its settings and the function that opens an account.
func Kind() providers.Kind {
	return providers.Kind{
		Codes: providers.CodesOf(answers),
		Name:  Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "api_key", Secret: true}},
		New: func(s providers.Settings) (providers.Provider, error) {
			p, err := New(Config{Endpoint: s.Endpoint, Username: s.Login["username"], APIKey: s.Secrets["api_key"]})
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info returns the limits of the gateway and the fingerprint of the account.
func (p *Provider) Info() providers.Info { return p.info }

// The method "post" sends a body to the gateway and returns a 2xx reply, or an *Error. The
// vendor's page does not give the HTTP status of an error. So the method does not set
// ErrorsInBody, and a 404, 405 or 415 is Unknown.
func (p *Provider) post(ctx context.Context, op, path string, body []byte) (*httpclient.Reply, error) {
	return p.client.Call(ctx, jsonRequest(op, path, body))
}

// jsonRequest returns a POST of a JSON body.
func jsonRequest(op, path string, body []byte) httpclient.Request {
	return httpclient.Request{Op: op, Path: path, ContentType: jsonContentType, Body: body}
}

// encode returns the parameter "fields" as JSON in which the characters < > & are not escaped. Invalid UTF-8
// becomes U+FFFD.
func encode(fields any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(fields) // this cannot fail for a struct of strings
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
