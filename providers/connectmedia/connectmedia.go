// Package connectmedia implements a provider for the HTTP API of Connect Media (Kenya).
//
// The vendor's documentation is https://connectmedia.co.ke/developers/, called "the vendor's page" here.
// Comments say "from public code" where a fact is not on that page. The package implements all four
// actions on the vendor's page: send, balance, history and inbox. Two of the vendor's samples send
// multipart forms, and the third an urlencoded form. The package sends urlencoded forms only. The
// gateway is written in PHP, which reads both kinds in the same way.
//
// The samples differ in the encoding of the message. The PHP and JavaScript samples URL-encode the
// message before the form encoding; the Python sample does not. Working integrations URL-encode the
// message first (from public code). This package does the same, unless PlainMessage is set. A space
// becomes %20 and not +. Every URL decoder reads %20 as a space, but only form decoders read + as a
// space.
//
// The gateway has no message IDs and no idempotency keys. Its history lists no phone numbers, so the
// history cannot show whether a call without an answer was sent.
//
// The vendor has a second, current API, whose login is an API key. An account with an API key uses
// this API. The vendor's page does not describe it. See CurrentBaseURL for the known facts and their
// source.
//
// The replies to send and balance on the vendor's page are not valid JSON. The package accepts
// these invalid replies, and also the valid JSON that the gateway probably sends.
package connectmedia

import (
	"errors"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Values from https://connectmedia.co.ke/developers/.
const (
	// Name is the provider's name in the configuration.
	Name = "connectmedia"
	// DefaultBaseURL is the address to which the documented paths are appended. The vendor's page uses http,
	// which would send the password unencrypted.
	DefaultBaseURL = "https://www.connectmedia.co.ke"
	// MaxRecipients is the maximum number of recipients in one call. It is 1, because the field "to"
	// holds one number.
	MaxRecipients = 1
	// MaxSender is the maximum length of a sender ID in characters.
	MaxSender = 11
	// DefaultSender is sent for a batch without a sender ID. The vendor's page spells the name with
	// a single n.
	DefaultSender = "ConectMedia"

	// The query is the name "api" without a value, and must not contain "=".
	path      = "/user-board/?api"
	inboxPath = "/user-board/?api_v2"
)

// These are the values of the form field "action".
const (
	actionSend    = "send"
	actionBalance = "balance"
	actionHistory = "history"
	actionInbox   = "inbox"
)

// optionPreEncode is the name of the only setting that is specific to this provider.
const optionPreEncode = "pre_encode_message"

// Config configures a Provider.
type Config struct {
	providers.Endpoint
	// Username and Password are the login of the API that the vendor's page describes. Both are required,
	// unless APIKey is set.
	Username string
	Password providers.Secret
	// APIKey is the login of the vendor's current API. It replaces Username and Password.
	APIKey providers.Secret
	// If PlainMessage is false, the package URL-encodes each message before it encodes the form. If
	// PlainMessage is true, the package only encodes the form. PlainMessage is the opposite of the
	// setting "pre_encode_message", whose default is true. PlainMessage has no effect on the current
	// API, which always gets plain messages.
	PlainMessage bool
}

// Provider sends through one account at Connect Media. It can also read the account's balance, history
// and inbox. It is safe for concurrent use.
type Provider struct {
	client *httpclient.Client
	info   providers.Info
	plain  bool
	// login is the encoded login, with which every form begins. It is a pointer, because fmt does not
	// call the methods of a Secret value in an unexported field. So fmt would print the secret text.
	login *providers.Secret
	// key is the API key of an account of the current API. For other accounts it is nil. Like the field
	// "login", it is a pointer so that fmt does not print the secret text.
	key *providers.Secret
}

// New returns a Provider. The returned error joins a *providers.FieldError for each mistake.
func New(cfg Config) (*Provider, error) {
	if cfg.APIKey != "" {
		return newCurrent(cfg)
	}
	client, limit, err := httpclient.Open(cfg.Endpoint, DefaultBaseURL, MaxRecipients, cfg.Password)
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

// Kind returns Connect Media's entry for the catalog: its name, its settings and the function that opens
// an account.
func Kind() providers.Kind {
	return providers.Kind{
		Codes: sendCodes(),
		Name:  Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "username"}, {Name: "password", Secret: true}},
		Instead: []providers.Field{{Name: "api_key", Secret: true}}, Optional: []string{optionPreEncode}, Actions: actions(),
		New: func(s providers.Settings) (providers.Provider, error) {
			encode, mistake := s.Bool(optionPreEncode, true)
			if s.Secrets["api_key"] != "" && s.Options[optionPreEncode] != "" {
				mistake = errors.Join(mistake, providers.Mistake(optionPreEncode, "works only with username and password; remove it from an account with api_key"))
			}
			p, err := New(Config{
				Endpoint: s.Endpoint, Username: s.Login["username"], Password: s.Secrets["password"],
				APIKey: s.Secrets["api_key"], PlainMessage: !encode,
			})
			if err = errors.Join(mistake, err); err != nil {
				return nil, err
			}
			return p, nil
		},
	}
}

// Info returns the limits of the gateway and the fingerprint of the account.
func (p *Provider) Info() providers.Info { return p.info }

// askForm builds the form of an action that only reads.
func askForm(login providers.Secret, action string) []byte {
	return httpclient.AppendField([]byte(login.Reveal()), "action", action)
}

// loginForm returns the encoded login, with which every form begins.
func loginForm(username string, password providers.Secret) providers.Secret {
	return providers.Secret(httpclient.AppendField(httpclient.AppendField(nil, "username", username), "password", password.Reveal()))
}
