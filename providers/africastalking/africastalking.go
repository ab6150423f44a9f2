// Package africastalking speaks the HTTP API of Africa's Talking: bulk and premium
// messages, the account's balance, the messages that people sent in, and the three
// kinds of callbacks.
//
// What the vendor's page "Send SMS" documents is marked [page]; what stands on its
// pages about users, inbox and notifications, and what public code agrees on, is
// marked [public].
//
// The gateway has no idempotency key for messages and no look-up of those it has
// sent: after a call without an answer only a delivery report can say more.
//
// Not offered, and why:
//
//   - Sending by opening a URL [page]: it puts the login where proxies and logs keep it.
//   - curl's --insecure and its unescaped "to=+254…" [page]: certificates are always
//     verified, and a + that is not written %2B arrives as a space.
//   - The subscriptions to premium services [public] and their notifications: the page
//     has none of their endpoints. Messages to subscribers can be sent with SendWith.
//   - Flash messages: the gateway has no parameter for them, and Batch.Flash is ignored.
package africastalking

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

const (
	// Name is the provider's name in configuration.
	Name = "africastalking"
	// DefaultBaseURL is what the documented paths are appended to [public].
	DefaultBaseURL = "https://api.africastalking.com"
	// SandboxUsername is the user that everyone has at the vendor's own sandbox,
	// where nothing is sent to a handset [public].
	SandboxUsername = "sandbox"
	// SandboxBaseURL serves SandboxUsername, and is that user's default [public].
	SandboxBaseURL = "https://api.sandbox.africastalking.com"
	// MaxRecipients is how many numbers a call carries. The vendor publishes no
	// limit: 200 is what Tuma takes, and max_recipients may lower it.
	MaxRecipients = 200
	// MaxSenderAlpha bounds an alphanumeric from: what the operators carry [public].
	MaxSenderAlpha = 11

	messagingPath = "/version1/messaging"
	userPath      = "/version1/user"
)

const (
	opSend    = Name + " send"
	opBalance = Name + " balance"
	opInbox   = Name + " inbox"
)

// Format is what the gateway is asked to answer a send with. Either is understood
// whatever was asked for.
type Format string

// The formats. The gateway's own default is XML [page].
const (
	JSON Format = "json"
	XML  Format = "xml"
)

// Config is an account at Africa's Talking.
type Config struct {
	// Endpoint is what every account has. BaseURL is by default DefaultBaseURL, and
	// SandboxBaseURL for the user SandboxUsername.
	providers.Endpoint
	// Username and APIKey are the login; both are needed.
	Username string
	APIKey   providers.Secret
	// Format is what a send asks for. Default: JSON.
	Format Format
	// Options go with every message that SendWith is not given others for. They hold
	// no LinkID: that belongs to one message.
	Options Options
}

// Provider sends through one account at Africa's Talking, asks for its balance and
// for the messages that came in. It is safe for concurrent use.
type Provider struct {
	client *providers.Client
	info   providers.Info
	user   string
	// key stands behind a pointer: fmt prints what is in unexported fields without
	// asking its methods.
	key     *providers.Secret
	accept  string
	options Options
}

var (
	_ providers.Balancer    = (*Provider)(nil)
	_ providers.InboxReader = (*Provider)(nil)
)

// New returns a Provider. Its error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	base := DefaultBaseURL
	if cfg.Username == SandboxUsername {
		base = SandboxBaseURL
	}
	client, limit, err := cfg.Open(base, MaxRecipients, cfg.APIKey)
	accept, formatErr := cfg.Format.accept()
	err = errors.Join(
		providers.Missing("username", cfg.Username), checkKey(cfg.APIKey), formatErr, cfg.Options.check(), err)
	if err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.Username), MaxRecipients: limit,
		SenderAlphaMax: MaxSenderAlpha, SenderOptional: true, DLRNamesRecipient: true, BlacklistBySender: true,
	}
	return &Provider{client: client, info: info, user: cfg.Username, key: &cfg.APIKey, accept: accept, options: cfg.Options}, nil
}

// checkKey says what makes a key no value of a header; every call with it would
// fail without a word why.
func checkKey(key providers.Secret) error {
	text := key.Reveal()
	if text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return providers.Mistake("api_key", "must not hold control characters or begin or end with white space")
	}
	return providers.Missing("api_key", text)
}

func (f Format) accept() (string, error) {
	switch f {
	case "", JSON:
		return "application/json", nil
	case XML:
		return "application/xml", nil
	}
	return "", providers.Mistake(fieldFormat, "must be json or xml")
}

// Kind describes Africa's Talking to the configuration.
func Kind() providers.Kind {
	return providers.Kind{
		Name: Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "api_key", Secret: true}},
		Optional: []string{fieldBulkMode, fieldEnqueue, fieldKeyword, fieldRetryHours, fieldFormat},
		New: func(s providers.Settings) (providers.Provider, error) {
			options, err := readOptions(s)
			p, newErr := New(Config{
				Endpoint: s.Endpoint, Username: s.Login["username"], APIKey: s.Secrets["api_key"],
				Format: Format(s.Options[fieldFormat]), Options: options,
			})
			if err = errors.Join(newErr, err); err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info tells the limits of the gateway and the account's fingerprint.
func (p *Provider) Info() providers.Info { return p.info }

// Send puts one batch to the gateway, once, with the account's options. The gateway
// has no idempotency key, and b.Key goes nowhere: the same call again is more
// messages. Every verdict stands in the table of codes and in the doc of
// providers.StatusVerdict. A batch that cannot be a call (no recipients or too many,
// no text) is Rejected for the campaign without a request.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	return p.SendWith(ctx, b, Options{})
}

// SendWith is Send with options for these messages; what they leave out is as the
// account has it.
func (p *Provider) SendWith(ctx context.Context, b providers.Batch, o Options) ([]providers.Result, error) {
	if what := p.refusal(b, o); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.Call(ctx, providers.Request{
		Op: opSend, Path: messagingPath, Header: p.header(p.accept),
		ContentType: providers.FormContentType, Body: sendForm(p.user, b, o.or(p.options)),
		ErrorsInBody: true, // 201 for whatever is processed, also if every number is rejected [public]
	})
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict)
}

// refusal says what makes a batch no call at all, or nothing.
func (p *Provider) refusal(b providers.Batch, o Options) string {
	if b.Body == "" {
		return "no message"
	}
	if hours := o.RetryDurationInHours; hours < 0 || hours > MaxRetryHours {
		return fmt.Sprintf("a retryDurationInHours of %d, 1 to %d are allowed", hours, MaxRetryHours)
	}
	return p.info.Refusal(b)
}

// header makes the headers of a request. The key goes here and nowhere else.
func (p *Provider) header(accept string) http.Header {
	return http.Header{"Apikey": {p.key.Reveal()}, "Accept": {accept}}
}

// get asks for a JSON object; query begins with the user's name already.
func (p *Provider) get(ctx context.Context, op, path, query string) (*providers.Reply, error) {
	target := path + "?" + string(providers.AppendField(nil, "username", p.user)) + query
	return p.client.Call(ctx, providers.Request{Op: op, Method: http.MethodGet, Path: target, Header: p.header("application/json")})
}
