// Package textconnect implements a provider for the HTTP API of TextConnect (United Kingdom).
//
// The vendor's documentation is the page "HTTP API Documentation" of
// https://www.text-connect.co.uk, called "the vendor's page" here. TextConnect sells the product
// FastSMS under its own name. If a fact is from FastSMS and not from the vendor's page, the
// comment names FastSMS. All requests are forms that are sent to the same path, with a field
// "Action". Replies are plain text with HTTP 200, even for errors.
//
// The package implements all actions on the vendor's page. It does not use these parameters:
//
//   - ShowErrorMessage, which adds a line of text after an error code. The text has no more
//     information than the code. The parameter takes effect with any value. The package reads
//     only the first line of an answer, so it would ignore the text.
//   - GetAllMessageIDs with several recipients. Results are matched by position, and several IDs
//     for one recipient would shift the results of all following recipients. For a single
//     recipient, SendOptions.AllMessageIDs sets the parameter.
//   - GetBGSendID in a send to numbers, where the parameter has no meaning. Sends to a list or
//     group always set GetBGSendID.
//   - "Credit Reminder", which has a space on the vendor's page. The package sends
//     CreditReminder, the spelling of FastSMS.
//   - The GET method, which would put the token into URLs and logs.
//
// The gateway has no flash messages and no idempotency keys. A call that may have been taken must
// not be repeated. Afterwards, the method Messages shows which messages were sent.
package textconnect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// These limits and addresses are from the vendor's page, unless another source is named.
const (
	// Name is the provider's name in the configuration.
	Name = "textconnect"
	// DefaultBaseURL is the address to which the path is appended. The address is from public code,
	// because the links on the vendor's page are broken.
	DefaultBaseURL = "https://goto.text-connect.co.uk"
	// MaxRecipients is the maximum number of recipients in one call. The vendor's page does not document a
	// direct send to more than 200 numbers. A send to a list or group of more than 200 numbers may run in
	// the background. Then the gateway returns no message IDs.
	MaxRecipients = 200
	// MaxChars is the maximum length of a body in characters.
	MaxChars = 459
	// MaxSegments is the number of segments of 459 GSM-7 characters. Tuma also applies this limit
	// to texts in other alphabets.
	MaxSegments = 3
	// MaxSenderAlpha is the maximum length in characters of an alphanumeric sender ID (form field
	// "SourceAddress").
	MaxSenderAlpha = 11
	// MaxValidity is the longest validity period, and the default. The package always sends the period,
	// because the parameter is not optional on the vendor's page.
	MaxValidity = 24 * time.Hour

	path = "/api"
)

// These are the values of the field SourceTON. It tells the gateway whether a sender ID is a phone number.
const (
	// TONInternational is the type of a sender ID that is a number of at least 11 digits.
	TONInternational = 1
	// TONAlphanumeric is the type of a sender ID that has letters or is a short code.
	TONAlphanumeric = 5
)

const (
	opSend    = "textconnect send"
	opBalance = "textconnect balance"
	opStatus  = "textconnect status"
	opReport  = "textconnect report"
)

// Config configures a Provider.
type Config struct {
	providers.Endpoint
	// Token is the login. The token is required. Users find it in the settings of the vendor's web
	// interface.
	Token providers.Secret
	// ValidityPeriod is the time for which the gateway tries to deliver a message: whole seconds,
	// from 1 s to MaxValidity. Default: MaxValidity.
	ValidityPeriod time.Duration
	// SourceTON is the type of all sender IDs. By default, the type depends on the sender ID. It is
	// TONInternational for a number of at least 11 digits, and TONAlphanumeric for all others.
	SourceTON int
}

// Provider sends through one account at TextConnect. The methods besides Send perform the other
// actions of the API. A Provider is safe for concurrent use.
type Provider struct {
	client *httpclient.Client
	info   providers.Info
	zone   *time.Location
	// defaults holds the values for zero fields of SendOptions.
	defaults SendOptions
	// login is the encoded login, with which every form begins. It is a pointer, so that fmt does not
	// print the secret text. For a Secret value in an unexported field, fmt would print the text,
	// because it does not call the methods of such a value.
	login *providers.Secret
}

var (
	_ providers.Balancer         = (*Provider)(nil)
	_ providers.SpanPoller       = (*Provider)(nil)
	_ providers.Reporter         = (*Provider)(nil)
	_ providers.Reconciler       = (*Provider)(nil)
	_ providers.BackgroundSender = (*Provider)(nil)
)

// New returns a Provider. The returned error joins a *providers.FieldError for each mistake. The gateway's
// timestamps are in the time zone Europe/London. New also returns an error if the program cannot
// load that zone (see time/tzdata).
func New(cfg Config) (*Provider, error) {
	client, limit, err := httpclient.Open(cfg.Endpoint, DefaultBaseURL, MaxRecipients, cfg.Token)
	err = errors.Join(providers.Missing("token", cfg.Token.Reveal()), err)
	if cfg.ValidityPeriod != 0 && !validity(cfg.ValidityPeriod) {
		err = errors.Join(err, providers.Mistake("validity_period", "must be 1 to 86400 seconds"))
	}
	if cfg.SourceTON != 0 && !sourceTON(cfg.SourceTON) {
		err = errors.Join(err, providers.Mistake("source_ton", "must be 1 (international) or 5 (alphanumeric)"))
	}
	zone, zoneErr := london(time.LoadLocation)
	if err = errors.Join(err, zoneErr); err != nil {
		return nil, err
	}
	if cfg.ValidityPeriod == 0 {
		cfg.ValidityPeriod = MaxValidity
	}
	login := providers.Secret(httpclient.AppendField(nil, "Token", cfg.Token.Reveal()))
	return &Provider{
		client: client, zone: zone, login: &login,
		defaults: SendOptions{ValidityPeriod: cfg.ValidityPeriod, SourceTON: cfg.SourceTON},
		info: providers.Info{
			// The login consists only of a token. The fingerprint contains no hash of the token,
			// because an attacker could guess a weak token from its hash.
			Name: Name, Fingerprint: client.Fingerprint(Name, ""), MaxRecipients: limit,
			MaxChars: MaxChars, MaxSegments: MaxSegments, SenderAlphaMax: MaxSenderAlpha,
		},
	}, nil
}

// Kind returns TextConnect's entry for the catalog: its name, its settings, its actions and the
// function that opens an account.
func Kind() providers.Kind {
	return providers.Kind{
		Codes: sendCodes(),
		Name:  Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "token", Secret: true}}, Optional: []string{"validity_period", "source_ton"}, MessageIDs: true,
		New: func(s providers.Settings) (providers.Provider, error) {
			seconds, err := s.Int("validity_period", 1, int(MaxValidity/time.Second), 0)
			cfg := Config{Endpoint: s.Endpoint, Token: s.Secrets["token"], ValidityPeriod: time.Duration(seconds) * time.Second}
			if text := s.Options["source_ton"]; text != "" {
				if cfg.SourceTON, _ = strconv.Atoi(text); cfg.SourceTON == 0 {
					cfg.SourceTON = -1 // -1 is invalid, so that New returns an error
				}
			}
			p, newErr := New(cfg)
			if err = errors.Join(err, newErr); err != nil {
				return nil, err
			}
			return p, nil
		},
		Actions: actions(),
	}
}

// Info returns the limits of the gateway. The fingerprint depends only on the base URL, because a
// login has a token but no user name. So two accounts at the same gateway have the same fingerprint.
func (p *Provider) Info() providers.Info { return p.info }

// The method "form" returns the beginning of a form: the login and the action.
func (p *Provider) form(action string) []byte { return p.appendHead(nil, action) }

func (p *Provider) appendHead(form []byte, action string) []byte {
	return httpclient.AppendField(append(form, p.login.Reveal()...), "Action", action)
}

// The method "post" sends a form to the gateway and returns a 2xx reply, or an *Error. It assumes
// that the gateway reports errors with HTTP 200. So only a web server without the API can answer
// with 404, 405 or 415, and such a server cannot have taken the form.
func (p *Provider) post(ctx context.Context, op string, form []byte) (*httpclient.Reply, error) {
	return p.client.PostForm(ctx, op, path, form)
}

// timestamp is the format of times in parameters. These times are London time, as at FastSMS.
const timestamp = "20060102150405"

// london returns the time zone of the gateway. The parameter "load" is time.LoadLocation, except in
// tests.
func london(load func(name string) (*time.Location, error)) (*time.Location, error) {
	zone, err := load("Europe/London")
	if err != nil {
		return nil, fmt.Errorf("textconnect: load Europe/London, the time zone of the gateway's times: %w", err)
	}
	return zone, nil
}
