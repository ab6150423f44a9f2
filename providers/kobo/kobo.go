// Package kobo implements a provider for the HTTP API of KoboMobile (Nigeria).
//
// The vendor's documentation is https://kobomobile.net/developer. The comments name every other
// source. KoboMobile sells another vendor's product under its own name. That product can POST delivery
// reports (DLR) to a callback_url, which each call names. KoboMobile's page does not mention these
// reports, so the use of a callback_url is optional (providers.Batch.CallbackURL). MessageStatus reads
// the delivery status of a message.
package kobo

import (
	"errors"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Limits and addresses from https://kobomobile.net/developer.
const (
	// Name is the provider's name in the configuration.
	Name = "kobo"
	// DefaultBaseURL is the address to which the documented paths are appended.
	DefaultBaseURL = "https://kobomobile.net"
	// MaxRecipients is the maximum number of recipients in one call. The gateway answers
	// "error_limit" to a call with more recipients.
	MaxRecipients = 500
	// MaxChars is the maximum length of a body (form field "msg") in characters.
	MaxChars = 905
	// MaxSenderAlpha and MaxSenderDigits are the maximum lengths of an alphanumeric and of a
	// numeric sender ID (form field "from"), in characters.
	MaxSenderAlpha, MaxSenderDigits = 11, 16
	// KeyTTL is how long the gateway remembers an idempotency key (message_uuid). The worker stops
	// using a key after 25 days. The margin of 5 days covers differences between the worker's and
	// the gateway's clock.
	KeyTTL = 30 * 24 * time.Hour
	// MaxKey is the maximum length of an idempotency key in characters.
	MaxKey = 64

	sendPath   = "/api/send/"
	creditPath = "/api/credit/"
	reportPath = "/api/report/"
)

const (
	opSend    = "kobo send"
	opBalance = "kobo balance"
	opReport  = "kobo report"
)

// Config configures a Provider.
type Config struct {
	providers.Endpoint
	// User and Pass are the login. Both are required.
	User string
	Pass providers.Secret
}

// Provider sends through one account at KoboMobile. It can also read the account's credit and the
// delivery status of a message. It is safe for concurrent use.
type Provider struct {
	client *httpclient.Client
	info   providers.Info
	// login is the encoded login, with which every form begins. It is a pointer, because fmt does not
	// call the methods of a Secret value in an unexported field. So fmt would print the secret text.
	login *providers.Secret
}

// New returns a Provider. The returned error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	client, limit, err := httpclient.Open(cfg.Endpoint, DefaultBaseURL, MaxRecipients, cfg.Pass)
	if err = errors.Join(providers.Missing("user", cfg.User), providers.Missing("pass", cfg.Pass.Reveal()), err); err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.User), MaxRecipients: limit, KeyTTL: KeyTTL,
		MaxChars: MaxChars, SenderAlphaMax: MaxSenderAlpha, SenderDigitsMax: MaxSenderDigits, Flash: true, FlashGSM7: true, NamesCallback: true,
	}
	login := loginForm(cfg.User, cfg.Pass)
	return &Provider{client: client, info: info, login: &login}, nil
}

// optionCallback is the name of the account's option "callback_url". If the option is true, each
// call tells the gateway the URL for delivery reports.
const optionCallback = "callback_url"

// Kind returns KoboMobile's entry for the catalog: its name, its settings and the function that opens
// an account.
func Kind() providers.Kind {
	return providers.Kind{
		Codes: providers.CodesOf(answers),
		Name:  Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "user"}, {Name: "pass", Secret: true}}, MessageIDs: true,
		Optional: []string{optionCallback},
		New: func(s providers.Settings) (providers.Provider, error) {
			if _, err := s.Bool(optionCallback, false); err != nil {
				return nil, err
			}
			p, err := New(Config{Endpoint: s.Endpoint, User: s.Login["user"], Pass: s.Secrets["pass"]})
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info returns the limits of the gateway and the fingerprint of the account.
func (p *Provider) Info() providers.Info { return p.info }
