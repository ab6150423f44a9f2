// Package kobo speaks the HTTP API of KoboMobile (Nigeria).
//
// What the vendor documents stands on https://kobomobile.net/developer; facts
// that come from elsewhere say so. Not supported: callback_url, the delivery
// reports that the product KoboMobile is a white label of can POST to an address.
// KoboMobile's page does not have it; MessageStatus asks instead.
package kobo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// What https://kobomobile.net/developer documents.
const (
	// Name is the provider's name in configuration.
	Name = "kobo"
	// DefaultBaseURL is what the documented paths are appended to.
	DefaultBaseURL = "https://kobomobile.net"
	// MaxRecipients is how many numbers a call may carry; one more is error_limit.
	MaxRecipients = 500
	// MaxChars is how many characters msg may have.
	MaxChars = 905
	// MaxSenderAlpha and MaxSenderDigits bound from.
	MaxSenderAlpha, MaxSenderDigits = 11, 16
	// KeyTTL is how long a message_uuid is remembered. The worker stops at 25
	// days: this clock and the gateway's need not agree on when the first use was.
	KeyTTL = 30 * 24 * time.Hour
	// MaxKey is how many characters a message_uuid may have.
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

// Config is an account at KoboMobile.
type Config struct {
	providers.Endpoint
	// User and Pass are the login; both are needed.
	User string
	Pass providers.Secret
}

// Provider sends through one account at KoboMobile, asks for its credit and for
// what became of a message. It is safe for concurrent use.
type Provider struct {
	client *providers.Client
	info   providers.Info
	// login is the first fields of every form, behind a pointer: fmt prints what is
	// in unexported fields without asking its methods.
	login *providers.Secret
}

// New returns a Provider. Its error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	client, limit, err := cfg.Open(DefaultBaseURL, MaxRecipients, cfg.Pass)
	if err = errors.Join(providers.Missing("user", cfg.User), providers.Missing("pass", cfg.Pass.Reveal()), err); err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.User), MaxRecipients: limit, KeyTTL: KeyTTL,
		MaxChars: MaxChars, SenderAlphaMax: MaxSenderAlpha, SenderDigitsMax: MaxSenderDigits, Flash: true,
	}
	login := loginForm(cfg.User, cfg.Pass)
	return &Provider{client: client, info: info, login: &login}, nil
}

// Kind describes KoboMobile to the configuration.
func Kind() providers.Kind {
	return providers.Kind{
		Name: Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "user"}, {Name: "pass", Secret: true}},
		New: func(s providers.Settings) (providers.Provider, error) {
			p, err := New(Config{Endpoint: s.Endpoint, User: s.Login["user"], Pass: s.Secrets["pass"]})
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info tells the limits of the gateway and the account's fingerprint.
func (p *Provider) Info() providers.Info { return p.info }

// Send puts one batch to the gateway, once, with b.Key as its message_uuid: the
// same key, list and body again are the same messages. Every verdict stands in the
// table of answers and in the doc of providers.StatusVerdict. A batch that cannot
// be a call (no recipients or too many, no key or too long a one) is Rejected for
// the campaign without a request.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.PostForm(ctx, opSend, sendPath, sendForm(*p.login, b))
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict)
}

// refusal says what makes a batch no call at all, or nothing.
func (p *Provider) refusal(b providers.Batch) string {
	switch {
	case b.IdempotencyKey == "":
		return "no message_uuid"
	case len(b.IdempotencyKey) > MaxKey:
		return fmt.Sprintf("a message_uuid of %d characters, at most %d are allowed", len(b.IdempotencyKey), MaxKey)
	}
	return p.info.Refusal(b)
}

// The values of type. Only one can be asked for.
const (
	typeNormal  = "0"
	typeFlash   = "1"
	typeUnicode = "2"
)

// messageType chooses the type of a message. Unicode wins over flash: a text that
// does not flash can still be read, a garbled one cannot.
func messageType(b providers.Batch) string {
	switch {
	case sms.EncodingOf(b.Body) == sms.UCS2:
		return typeUnicode
	case b.Flash:
		return typeFlash
	}
	return typeNormal
}
