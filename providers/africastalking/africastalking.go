// Package africastalking implements a provider for the HTTP API of Africa's Talking: bulk and premium
// messages, the account's balance, incoming messages (MO) and three kinds of callbacks.
//
// The vendor's documentation is its page "Send SMS", called "the vendor's page" here. Some facts
// come from public sources: other pages of the vendor (about users, inbox and notifications) or
// several public programs. The comments name these sources and mark assumptions.
//
// The gateway has no idempotency keys for messages, and it cannot list the messages it has sent.
// After a call without an answer, only a delivery report (DLR) can show whether the message was sent.
//
// Not supported:
//
//   - Sending with a GET request, which the vendor's page allows. The URL would contain the login,
//     and proxies and logs store URLs.
//   - The curl option "--insecure" of the sample on the vendor's page. The package always verifies
//     certificates. The same sample has an unescaped "to=+254…". The package escapes + as %2B,
//     because an unescaped + arrives as a space.
//   - Subscriptions to premium services, and notifications about them. They are known only from
//     public sources, because the vendor's page shows no endpoint for them. SendWith can send
//     messages to subscribers.
//   - Flash messages. The gateway has no parameter for flash messages, so the package ignores
//     Batch.Flash.
package africastalking

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

const (
	// Name is the provider's name in the configuration.
	Name = "africastalking"
	// DefaultBaseURL is the address to which the documented paths are appended (from public
	// sources).
	DefaultBaseURL = "https://api.africastalking.com"
	// SandboxUsername is the common user name at the vendor's sandbox, which sends nothing to
	// handsets (from public sources).
	SandboxUsername = "sandbox"
	// SandboxBaseURL is the address of the vendor's sandbox, and the default base URL for
	// SandboxUsername (from public sources).
	SandboxBaseURL = "https://api.sandbox.africastalking.com"
	// ContentBaseURL is the default base URL for premium messages (bulkSMSMode=0). The vendor's own
	// Python, Node.js and Java programs send premium messages to this URL (from public sources). If an
	// account sets a base URL or uses the sandbox, it sends premium messages to the same URL as its other
	// messages.
	ContentBaseURL = "https://content.africastalking.com"
	// UsualRecipients is the maximum number of recipients in one call of an account without the setting
	// "max_recipients". The vendor publishes no limit; 200 is Tuma's choice.
	UsualRecipients = 200
	// MaxRecipients is the highest value of the setting "max_recipients". The vendor's own tests put
	// 1,000 numbers into a call (from public sources: the Python and Node.js programs).
	MaxRecipients = 1000
	// MaxSenderAlpha is the maximum length of an alphanumeric sender ID (from) in characters.
	// Mobile operators set this limit (from public sources).
	MaxSenderAlpha = 11

	messagingPath = "/version1/messaging"
	userPath      = "/version1/user"
)

const (
	opSend    = Name + " send"
	opBalance = Name + " balance"
	opInbox   = Name + " inbox"
)

// Format is the format that a send requests for the gateway's reply. The provider can read a reply in
// both formats, independent of the requested format.
type Format string

// These are the values of Format. The gateway's default is XML, according to the vendor's page.
const (
	JSON Format = "json"
	XML  Format = "xml"
)

// Config configures a Provider.
type Config struct {
	// Endpoint holds the settings that every account has. The default of BaseURL is SandboxBaseURL
	// for the user SandboxUsername, and DefaultBaseURL for all other users.
	providers.Endpoint
	// Username and APIKey are the login. Both are required.
	Username string
	APIKey   providers.Secret
	// Format is the format of the reply to a send. Default: JSON.
	Format Format
	// Options are the account's defaults for every message; options passed to SendWith take
	// precedence. LinkID must be empty, because a link ID belongs to one message.
	Options Options
}

// Provider sends through one account at Africa's Talking. It can also read the account's balance and
// its incoming messages. It is safe for concurrent use.
type Provider struct {
	client  *httpclient.Client
	premium *httpclient.Client // premium sends the messages for which the subscriber pays.
	info    providers.Info
	user    string
	// key is a pointer, because fmt does not call the methods of a Secret value in an unexported
	// field. So fmt would print the secret text.
	key     *providers.Secret
	accept  string
	options Options
	now     func() time.Time // time.Now, except in tests
}

var (
	_ providers.Balancer    = (*Provider)(nil)
	_ providers.InboxReader = (*Provider)(nil)
)

// New returns a Provider. The returned error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	base := DefaultBaseURL
	if cfg.Username == SandboxUsername {
		base = SandboxBaseURL
	}
	client, limit, err := httpclient.OpenUpTo(cfg.Endpoint, base, UsualRecipients, MaxRecipients, cfg.APIKey)
	premium, premiumErr := client, error(nil)
	if cfg.BaseURL == "" && base == DefaultBaseURL && err == nil {
		premium, _, premiumErr = httpclient.OpenUpTo(cfg.Endpoint, ContentBaseURL, UsualRecipients, MaxRecipients, cfg.APIKey)
	}
	accept, formatErr := cfg.Format.accept()
	err = errors.Join(
		providers.Missing("username", cfg.Username), checkKey(cfg.APIKey), formatErr, cfg.Options.check(), err, premiumErr)
	if err != nil {
		return nil, err
	}
	info := providers.Info{
		Name: Name, Fingerprint: client.Fingerprint(Name, cfg.Username), MaxRecipients: limit,
		SenderAlphaMax: MaxSenderAlpha, SenderOptional: true, DLRNamesRecipient: true, BlacklistBySender: true,
	}
	return &Provider{client: client, premium: premium, info: info, user: cfg.Username, key: &cfg.APIKey, accept: accept, options: cfg.Options, now: time.Now}, nil
}

// checkKey returns an error if the key is empty or cannot be sent as a header. Every call with such a
// key would fail, and its error would not show the reason.
func checkKey(key providers.Secret) error {
	text := key.Reveal()
	if text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return providers.Mistake("api_key", "must not hold control characters, and must not begin or end with white space")
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

// Kind returns Africa's Talking's entry for the catalog: its name, its settings and the function that
// opens an account.
func Kind() providers.Kind {
	return providers.Kind{
		Codes: sendCodes(),
		Name:  Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "api_key", Secret: true}},
		Optional: []string{fieldBulkMode, fieldEnqueue, fieldKeyword, fieldRetryHours, fieldFormat}, MessageIDs: true, Actions: actions(),
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

// Info returns the limits of the gateway and the fingerprint of the account.
func (p *Provider) Info() providers.Info { return p.info }

// header returns the headers of a request. The API key is only in the headers.
func (p *Provider) header(accept string) http.Header {
	return http.Header{"Apikey": {p.key.Reveal()}, "Accept": {accept}}
}

// The method "get" requests a JSON object. The URL's query is the user name, followed by the
// parameter "query", which is empty or begins with "&".
func (p *Provider) get(ctx context.Context, op, path, query string) (*httpclient.Reply, error) {
	target := path + "?" + string(httpclient.AppendField(nil, "username", p.user)) + query
	return p.client.Call(ctx, httpclient.Request{Op: op, Method: http.MethodGet, Path: target, Header: p.header("application/json")})
}
