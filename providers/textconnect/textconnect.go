// Package textconnect speaks the HTTP API of TextConnect (United Kingdom).
//
// What the vendor documents stands on the page "HTTP API Documentation" of
// https://www.text-connect.co.uk; what is marked "sibling" comes from FastSMS, the
// product that TextConnect is a white label of. Everything is one path, one form
// and an Action in it; replies are plain text with HTTP 200, errors too.
//
// Of the page's actions all are here. Of its parameters these are not:
//
//   - ShowErrorMessage. A line of text beneath a code says nothing that the code does
//     not, and its mere presence switches it on. Only the first line of an answer is
//     read for codes all the same.
//   - GetAllMessageIDs with several numbers. Results are told apart by their position,
//     and several ids for one number would shift those of all that follow. With one
//     number SendOptions.AllMessageIDs asks for it.
//   - GetBGSendID in a send to numbers, where it has no meaning. Sends to a list or a
//     group always ask for it.
//   - "Credit Reminder" with its space: it goes out as CreditReminder, as the sibling
//     spells it.
//   - The GET method: it would put the token into addresses and logs.
//
// A flash message cannot be asked for. There is no idempotency key, so a call that
// may have been taken must not be repeated; Messages tells afterwards what was sent.
package textconnect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// What the page documents, unless another source is named.
const (
	// Name is the provider's name in configuration.
	Name = "textconnect"
	// DefaultBaseURL is what the path is appended to (public; the page lost its links).
	DefaultBaseURL = "https://goto.text-connect.co.uk"
	// MaxRecipients is how many numbers a call carries: sends to a list or group of
	// more than 200 may happen in the background, and then return no ids. A direct
	// send of more is not documented.
	MaxRecipients = 200
	// MaxChars is how many characters Body may have.
	MaxChars = 459
	// MaxSegments is what 459 characters of GSM-7 take; other alphabets are kept to it.
	MaxSegments = 3
	// MaxSenderAlpha bounds an alphanumeric SourceAddress.
	MaxSenderAlpha = 11
	// MaxValidity is the longest ValidityPeriod, and the default here. It is always
	// sent: the page does not call it optional.
	MaxValidity = 24 * time.Hour

	path = "/api"
)

// What SourceTON can be.
const (
	// TONInternational is the type of number of a numeric sender.
	TONInternational = 1
	// TONAlphanumeric is that of a sender with letters.
	TONAlphanumeric = 5
)

const (
	opSend    = "textconnect send"
	opBalance = "textconnect balance"
	opStatus  = "textconnect status"
	opReport  = "textconnect report"
)

// Config is an account at TextConnect.
type Config struct {
	providers.Endpoint
	// Token is the login, from the settings of the vendor's web page.
	Token providers.Secret
	// ValidityPeriod is for how long a message is tried, in whole seconds up to
	// MaxValidity. Default: MaxValidity.
	ValidityPeriod time.Duration
	// SourceTON is the type of number of every sender. Default: that of each sender,
	// TONInternational for digits and TONAlphanumeric for all else.
	SourceTON int
}

// Provider sends through one account at TextConnect and does all else that its API
// can. It is safe for concurrent use.
type Provider struct {
	client *providers.Client
	info   providers.Info
	zone   *time.Location
	// defaults stand in for what SendOptions leave open.
	defaults SendOptions
	// login is the first field of every form, behind a pointer: fmt prints what is in
	// unexported fields without asking its methods.
	login *providers.Secret
}

var (
	_ providers.Balancer         = (*Provider)(nil)
	_ providers.StatusPoller     = (*Provider)(nil)
	_ providers.Reporter         = (*Provider)(nil)
	_ providers.Reconciler       = (*Provider)(nil)
	_ providers.BackgroundSender = (*Provider)(nil)
)

// New returns a Provider. Its error joins a *providers.FieldError for each mistake.
// It is another error if this program knows no time zones (see time/tzdata): the
// gateway's timestamps are London's.
func New(cfg Config) (*Provider, error) {
	client, limit, err := cfg.Open(DefaultBaseURL, MaxRecipients, cfg.Token)
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
	login := providers.Secret(providers.AppendField(nil, "Token", cfg.Token.Reveal()))
	return &Provider{
		client: client, zone: zone, login: &login,
		defaults: SendOptions{ValidityPeriod: cfg.ValidityPeriod, SourceTON: cfg.SourceTON},
		info: providers.Info{
			// A token is all there is of a login, and a hash of it could be tried out.
			Name: Name, Fingerprint: client.Fingerprint(Name, ""), MaxRecipients: limit,
			MaxChars: MaxChars, MaxSegments: MaxSegments, SenderAlphaMax: MaxSenderAlpha,
		},
	}, nil
}

// Kind describes TextConnect to the configuration.
func Kind() providers.Kind {
	return providers.Kind{
		Name: Name, BaseURL: DefaultBaseURL, Required: []providers.Field{{Name: "token", Secret: true}}, Optional: []string{"validity_period", "source_ton"},
		New: func(s providers.Settings) (providers.Provider, error) {
			seconds, err := s.Int("validity_period", 1, int(MaxValidity/time.Second), 0)
			cfg := Config{Endpoint: s.Endpoint, Token: s.Secrets["token"], ValidityPeriod: time.Duration(seconds) * time.Second}
			if text := s.Options["source_ton"]; text != "" {
				if cfg.SourceTON, _ = strconv.Atoi(text); cfg.SourceTON == 0 {
					cfg.SourceTON = -1 // which New refuses
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

// Info tells the limits of the gateway. The fingerprint tells gateways apart and no
// two accounts at one, since a token is all there is of a login.
func (p *Provider) Info() providers.Info { return p.info }

// form begins a form with the login and an action.
func (p *Provider) form(action string) []byte { return p.appendHead(nil, action) }

func (p *Provider) appendHead(form []byte, action string) []byte {
	return providers.AppendField(append(form, p.login.Reveal()...), "Action", action)
}

// post puts a form to the gateway and returns a 2xx reply, or an *Error. That its
// errors come with 200 is assumed, and so a status that only a web server without
// the API gives means: not taken.
func (p *Provider) post(ctx context.Context, op string, form []byte) (*providers.Reply, error) {
	return p.client.PostForm(ctx, op, path, form)
}

// timestamp is how the gateway writes times in parameters; they are London's (sibling).
const timestamp = "20060102150405"

// london loads the zone of the gateway's clocks.
func london(load func(name string) (*time.Location, error)) (*time.Location, error) {
	zone, err := load("Europe/London")
	if err != nil {
		return nil, fmt.Errorf("textconnect: the gateway's times are London's, and there is no such zone here: %w", err)
	}
	return zone, nil
}
