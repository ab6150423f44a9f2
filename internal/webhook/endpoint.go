// Package webhook sends the events of the event stream to the HTTP servers of other programs. Messages are
// signed as in Standard Webhooks (https://www.standardwebhooks.com). Each event reaches an endpoint at least
// once. The events of one campaign arrive in their order. An endpoint comes from tuma.yaml or from the HTTP
// API. Requests never go to private addresses, unless tuma.yaml allows private addresses for an endpoint.
package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// Endpoint is a URL that gets events.
type Endpoint struct {
	// Name is unique among all endpoints. It has 1 to 64 characters of A-Z a-z 0-9 _ -.
	Name string
	// URL gets each event as a POST. It may contain a token, so it is never logged.
	URL string
	// Events are the kinds of events that the endpoint gets. If it is empty, the endpoint gets all kinds.
	Events []string
	// Secrets are the keys that sign each message. An endpoint has one secret, or two while a secret is replaced.
	Secrets []Secret
	// AllowPrivate allows http:// and private addresses. Only tuma.yaml can set it.
	AllowPrivate bool
	// Configured is true for an endpoint of tuma.yaml.
	Configured bool
	// CreatedAt is the time at which the HTTP API made the endpoint. It is zero for an endpoint of tuma.yaml.
	CreatedAt time.Time
}

// Secret is a key that signs messages.
type Secret struct {
	// Key has the form whsec_BASE64.
	Key providers.Secret
	// Until is the time at which Tuma stops signing with this secret. Zero means never.
	Until time.Time
}

const (
	// MaxSecrets is the maximum number of secrets that an endpoint may have at once.
	MaxSecrets = 2
	// MaxEndpoints is the maximum number of endpoints that the HTTP API can make.
	MaxEndpoints = 100

	secretPrefix = "whsec_"
	// minSecret and maxSecret are the minimum and the maximum length of a secret in bytes. The Standard Webhooks
	// specification sets both limits.
	minSecret, maxSecret = 24, 64
	maxURL               = 2048
)

// Kinds are the kinds of events that an endpoint can choose. Every endpoint gets events.lost.
var Kinds = events.Kinds

// SecretOf returns the Secret for a text of the form whsec_BASE64. Tuma signs with this Secret without a time limit.
func SecretOf(text string) Secret { return Secret{Key: providers.Secret(text)} }

// NewSecret returns a secret of 256 random bits.
func NewSecret() providers.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // Read never returns an error: crypto/rand ends the program instead
	return providers.Secret(secretPrefix + base64.StdEncoding.EncodeToString(b[:]))
}

var errSecret = errors.New("must be whsec_ and 24 to 64 random bytes in base64; `echo whsec_$(openssl rand -base64 32)` makes a secret")

// CheckSecret returns an error if a text is not a secret. The error does not contain the text.
func CheckSecret(s providers.Secret) error {
	_, err := keyOf(s)
	return err
}

// keyOf returns the bytes of a secret.
func keyOf(s providers.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), secretPrefix)
	if !ok || len(text) > 2*maxSecret {
		return nil, errSecret
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, errSecret
	}
	return key, nil
}

// Mistakes returns all mistakes of the endpoint, except missing secrets. Fields have the names that tuma.yaml and
// the HTTP API use.
func (e *Endpoint) Mistakes() (out []*producer.FieldError) {
	add := func(field, problem string) {
		out = append(out, &producer.FieldError{Field: field, Problem: problem})
	}
	if !accounts.ValidName(e.Name) {
		add("name", "must have 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	if problem := urlProblem(e.URL, e.AllowPrivate); problem != "" {
		add("url", problem)
	}
	for _, kind := range e.Events {
		if !slices.Contains(Kinds, kind) {
			add("events", fmt.Sprintf("%.40q must be one of %s", kind, strings.Join(Kinds, ", ")))
		}
	}
	if len(e.Secrets) > MaxSecrets {
		add("secret", "must be one secret, or two while a secret is replaced")
	}
	for _, s := range e.Secrets {
		if err := CheckSecret(s.Key); err != nil {
			add("secret", err.Error())
		}
	}
	return out
}

// urlProblem returns the reason why a URL cannot be the URL of an endpoint, or "". It does not look up names, because
// names are looked up before each connection.
func urlProblem(text string, private bool) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "must be a URL such as https://example.org/tuma"
	case len(text) > maxURL:
		return fmt.Sprintf("must have at most %d bytes", maxURL)
	case u.User != nil:
		return "must not have a login: the signature of each message shows that Tuma sent it"
	case u.Fragment != "":
		return "must not have a fragment"
	case private:
		return ""
	case u.Scheme != "https":
		return "must begin with https://"
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	addr, err := netip.ParseAddr(host)
	if err == nil && !public(addr) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "must not have a private address"
	}
	return ""
}

// wants reports whether the endpoint gets events of a kind.
func (e *Endpoint) wants(kind producer.EventKind) bool {
	return len(e.Events) == 0 || kind == producer.EventsLost || slices.Contains(e.Events, string(kind))
}

// fingerprint returns a hash of the URL. If a URL has answered 410, the state of its endpoint contains this hash. So
// Tuma finds out whether the endpoint has another URL now. The state has a hash because the URL may contain a token.
func (e *Endpoint) fingerprint() string {
	sum := sha256.Sum256([]byte(e.URL))
	return hex.EncodeToString(sum[:8])
}
