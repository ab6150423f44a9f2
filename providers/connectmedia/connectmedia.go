// Package connectmedia speaks the HTTP API of Connect Media (Kenya).
//
// What the vendor documents stands on its page of the API,
// https://www.connectmedia.co.ke; facts that come from elsewhere say so. All four
// actions of the page are here: send, balance, history and inbox. Not offered:
// multipart forms, which two of the page's samples send; the third sends an urlencoded
// form, and to PHP, which the gateway is written in, they are the same.
//
// The samples do not agree on the message. PHP's and JavaScript's URL-encode it before
// the form does, Python's does not; working integrations do [public], and so do we
// unless PlainMessage is set. Of the two ways to write a space, %20 and +, the first
// is used: every decoder of URLs reads %20 as a space, and only those of forms the +.
//
// There are no message ids and no idempotency key, and history names no numbers: it
// can be read, but what became of a call that was not answered cannot be told by it.
//
// The replies that the page prints for send and balance are not JSON; they are
// understood, and so is the JSON that they are taken to stand for.
package connectmedia

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// What https://www.connectmedia.co.ke documents.
const (
	// Name is the provider's name in configuration.
	Name = "connectmedia"
	// DefaultBaseURL is what the documented paths are appended to. The page has it
	// with http, which would show the password to everyone on the way.
	DefaultBaseURL = "https://www.connectmedia.co.ke"
	// MaxRecipients is how many numbers a call may carry: "to" is one number.
	MaxRecipients = 1
	// MaxSender is how many characters a sender may have.
	MaxSender = 11
	// DefaultSender is the sender of a batch that has none, with one n.
	DefaultSender = "ConectMedia"

	// The query is a name without a value; a = behind it is another query.
	path      = "/user-board/?api"
	inboxPath = "/user-board/?api_v2"
)

// The values of action.
const (
	actionSend    = "send"
	actionBalance = "balance"
	actionHistory = "history"
	actionInbox   = "inbox"
)

// optionPreEncode is the name of the one setting of its own.
const optionPreEncode = "pre_encode_message"

// Config is an account at Connect Media.
type Config struct {
	providers.Endpoint
	// Username and Password are the login; both are needed.
	Username string
	Password providers.Secret
	// PlainMessage sends messages as they are, without the URL encoding before the
	// form's. Default: false, as pre_encode_message: true is in configuration.
	PlainMessage bool
}

// Provider sends through one account at Connect Media, asks for its balance, and
// reads its history and inbox. It is safe for concurrent use.
type Provider struct {
	client *providers.Client
	info   providers.Info
	plain  bool
	// login is the first fields of every form, behind a pointer: fmt prints what is
	// in unexported fields without asking its methods.
	login *providers.Secret
}

// New returns a Provider. Its error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	client, limit, err := cfg.Open(DefaultBaseURL, MaxRecipients, cfg.Password)
	if err = errors.Join(providers.Missing("username", cfg.Username), providers.Missing("password", cfg.Password.Reveal()), err); err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.Username), MaxRecipients: limit,
		SenderAlphaMax: MaxSender, SenderDigitsMax: MaxSender, SenderOptional: true,
	}
	login := loginForm(cfg.Username, cfg.Password)
	return &Provider{client: client, info: info, plain: cfg.PlainMessage, login: &login}, nil
}

// Kind describes Connect Media to the configuration.
func Kind() providers.Kind {
	return providers.Kind{
		Name: Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "password", Secret: true}}, Optional: []string{optionPreEncode},
		New: func(s providers.Settings) (providers.Provider, error) {
			encode, mistake := s.Bool(optionPreEncode, true)
			p, err := New(Config{Endpoint: s.Endpoint, Username: s.Login["username"], Password: s.Secrets["password"], PlainMessage: !encode})
			if err = errors.Join(mistake, err); err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info tells the limits of the gateway and the account's fingerprint.
func (p *Provider) Info() providers.Info { return p.info }

// Send puts one message to the gateway, once. Every verdict stands in the table of
// codes and in the doc of providers.StatusVerdict. A batch of no or several recipients
// is Rejected for the campaign without a request. Keys and flash mean nothing here.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.info.Refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.PostForm(ctx, opSend, path, sendForm(*p.login, b, p.plain))
	if err != nil {
		return nil, err
	}
	result, verdict := parseAnswer(reply.Body)
	if result == nil {
		return nil, reply.Refused(opSend, verdict)
	}
	return []providers.Result{*result}, nil
}

// sendForm builds the form of a send. It is never used again: the transport may read
// it after the call has returned.
func sendForm(login providers.Secret, b providers.Batch, plain bool) []byte {
	from, body := b.From, b.Body
	if from == "" {
		from = DefaultSender
	}
	if !plain {
		body = preEncode(body)
	}
	form := make([]byte, 0, providers.FormSize(len(login)+len("&action=send&to=&sender=&message="), b.To, from, body))
	form = providers.AppendField(append(form, login.Reveal()...), "action", actionSend)
	form = providers.AppendNumbers(form, "to", "", b.To)
	form = providers.AppendField(form, "sender", from)
	return providers.AppendField(form, "message", body)
}

// preEncode URL-encodes a message so that PHP's urldecode and rawurldecode and
// JavaScript's decodeURIComponent all make the same of it.
func preEncode(body string) string { return strings.ReplaceAll(url.QueryEscape(body), "+", "%20") }

// askForm builds the form of an action that asks.
func askForm(login providers.Secret, action string) []byte {
	return providers.AppendField([]byte(login.Reveal()), "action", action)
}

// loginForm builds the fields that every request has.
func loginForm(username string, password providers.Secret) providers.Secret {
	return providers.Secret(providers.AppendField(providers.AppendField(nil, "username", username), "password", password.Reveal()))
}
