// Package qserve speaks the HTTP API of QServe (Kenya), which sells as 254sms.
//
// What the vendor documents stands on its page of the API, https://api.qserve.co.ke;
// facts that come from elsewhere say so. Both of its endpoints are here: sending
// and credits. Not offered, because the page names them in one sentence and gives
// no endpoint: delivery reports, disbursing airtime, M-Pesa C2B and the other M-Pesa
// integrations. There are no message ids, so there is nothing to ask for either, and
// no idempotency key: a call that may have been taken must not be repeated.
//
// The replies that the page prints are as a browser shows JSON, with bare names and
// a comment. They are taken to be that JSON on the wire, a bare object as well as the
// array of one; statusCode and statusMessage stand the wrong way round in the rows
// of recipients, and so either is read for what it says. The fields recipientsCount,
// the outer statusMessage and the row's message (the body, given back) are not read:
// only the rows count. The codes X000 to X003 are not explained in QServe's terms
// (secret keys, domains, user tokens); where they stand in a reply is not said.
package qserve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// What https://api.qserve.co.ke documents, unless it says otherwise.
const (
	// Name is the provider's name in configuration.
	Name = "qserve"
	// DefaultBaseURL is what the documented paths are appended to.
	DefaultBaseURL = "https://api.qserve.co.ke"
	// MaxRecipients is how many numbers a call may carry. The page publishes no
	// limit: this is our choice, and max_recipients may lower it.
	MaxRecipients = 100
	// DefaultSender is the sender ID of a batch that has none.
	DefaultSender = "254sms"

	sendPath    = "/version1/sendsms"
	creditsPath = "/version1/credits"

	jsonContentType = "application/json"
)

const (
	opSend    = "qserve send"
	opBalance = "qserve balance"
)

// Config is an account at QServe.
type Config struct {
	providers.Endpoint
	// Username and APIKey are the login; both are needed.
	Username string
	APIKey   providers.Secret
}

// Provider sends through one account at QServe and asks for its credits. It is safe
// for concurrent use.
type Provider struct {
	client *providers.Client
	info   providers.Info
	login  login
}

// login is what every request begins with.
type login struct {
	username string
	// apiKey is behind a pointer: fmt prints what is in unexported fields without
	// asking its methods.
	apiKey *providers.Secret
}

// New returns a Provider. Its error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	client, limit, err := cfg.Open(DefaultBaseURL, MaxRecipients, cfg.APIKey)
	if err = errors.Join(providers.Missing("username", cfg.Username), providers.Missing("api_key", cfg.APIKey.Reveal()), err); err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.Username), MaxRecipients: limit, SenderOptional: true,
	}
	return &Provider{client: client, info: info, login: login{cfg.Username, &cfg.APIKey}}, nil
}

// Kind describes QServe to the configuration.
func Kind() providers.Kind {
	return providers.Kind{
		Name: Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "api_key", Secret: true}},
		New: func(s providers.Settings) (providers.Provider, error) {
			p, err := New(Config{Endpoint: s.Endpoint, Username: s.Login["username"], APIKey: s.Secrets["api_key"]})
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info tells the limits of the gateway and the account's fingerprint.
func (p *Provider) Info() providers.Info { return p.info }

// Send puts one batch to the gateway, once. Every verdict stands in the table of
// errors and in the doc of providers.StatusVerdict. The credit left is on the first
// result. A batch that cannot be a call (no recipients or too many) is Rejected for
// the campaign without a request. Keys and flash mean nothing here.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.info.Refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.post(ctx, opSend, sendPath, sendBody(p.login, b))
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict)
}

// post puts a body to the gateway and returns a 2xx reply, or an *Error. No status
// stands for "not sent": the page does not say how errors come.
func (p *Provider) post(ctx context.Context, op, path string, body []byte) (*providers.Reply, error) {
	return p.client.Call(ctx, providers.Request{Op: op, Path: path, ContentType: jsonContentType, Body: body})
}

// sendBody is the body of a send. It is never used again: the transport may read it
// after the call has returned.
func sendBody(l login, b providers.Batch) []byte {
	from := b.From
	if from == "" {
		from = DefaultSender
	}
	return encode(struct {
		Username string `json:"username"`
		APIKey   string `json:"api_key"`
		SenderID string `json:"sender_id"`
		Phone    string `json:"phone"`
		Message  string `json:"message"`
	}{l.username, l.apiKey.Reveal(), from, phones(b.To), b.Body})
}

// phones is a list of numbers with commas between.
func phones(to []sms.MSISDN) string {
	list := make([]byte, 0, len(to)*len("254725656565,"))
	for i, number := range to {
		if i > 0 {
			list = append(list, ',')
		}
		list = number.AppendTo(list)
	}
	return string(list)
}

// encode writes JSON with < > & as they are. What is not UTF-8 becomes U+FFFD.
func encode(fields any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(fields) // strings always encode
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
