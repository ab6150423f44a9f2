package providers

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Endpoint holds the settings that the accounts of all providers have. If a field has the zero value,
// its default applies.
type Endpoint struct {
	// BaseURL is the gateway's address: scheme, host and an optional path prefix. Default: the
	// provider's Kind.BaseURL.
	BaseURL string
	// Timeout is the time limit of one whole HTTP call. Default: 30 s (httpclient.DefaultTimeout).
	Timeout time.Duration
	// MaxRecipients is the maximum number of recipients in one call. It must not exceed the
	// provider's own limit. Default: the provider's own limit.
	MaxRecipients int
	// Concurrency is the usual number of calls in flight at once. Default: 8 (httpclient.DefaultConcurrency).
	Concurrency int
	// AllowHTTP permits plain http to a host that is not loopback.
	AllowHTTP bool
}

// Settings are the values of an account's configuration, for any provider. Field names are the keys of
// the configuration file, such as "base_url" and "api_key". Errors use the same names.
type Settings struct {
	// Endpoint has the fields that every provider accepts.
	Endpoint
	// Login has the login fields that are not secret, such as a user name, by field name.
	Login map[string]string
	// Secrets has the secret login fields, such as a password, by field name.
	Secrets map[string]Secret
	// Options maps the names of the provider's other fields to their unchanged values from the
	// configuration file.
	Options map[string]string
}

// SetLogin sets the login field f. A second call for the same field replaces the value.
func (s *Settings) SetLogin(f Field, value string) {
	if f.Secret {
		if s.Secrets == nil {
			s.Secrets = map[string]Secret{}
		}
		s.Secrets[f.Name] = Secret(value)
		return
	}
	if s.Login == nil {
		s.Login = map[string]string{}
	}
	s.Login[f.Name] = value
}

// HasLogin reports whether the login field f has a value.
func (s *Settings) HasLogin(f Field) bool { return s.Login[f.Name] != "" || s.Secrets[f.Name] != "" }

// Bool returns the value of an option that is true or false. If the option is not set, Bool returns the
// parameter "fallback". The error for any other value is a *FieldError.
func (s Settings) Bool(field string, fallback bool) (bool, error) {
	switch s.Options[field] {
	case "":
		return fallback, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, Mistake(field, "must be true or false")
}

// Int returns the value of an option that is an integer from low to high. If the option is not set, Int
// returns the parameter "fallback". The error for any other value is a *FieldError.
func (s Settings) Int(field string, low, high, fallback int) (int, error) {
	text := s.Options[field]
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, Mistake(field, fmt.Sprintf("must be an integer from %d to %d", low, high))
	}
	return n, nil
}

// commonFields are the fields that every provider accepts.
var commonFields = []string{"base_url", "timeout", "max_recipients", "concurrency", "allow_http"}

// Field is a login field of a provider.
type Field struct {
	// Name is the field's name in the configuration. Use the vendor's own word.
	Name string
	// Secret reports whether the value is a secret, such as a password or an API key.
	Secret bool
}

// Kind describes a provider for the configuration. It has the name, the fields of an account, and the
// function that opens an account. To register a new gateway, only add its Kind to package catalog.
type Kind struct {
	// Name is the provider's name in the configuration.
	Name string
	// BaseURL is the default base URL.
	BaseURL string
	// Required lists the login fields that an account must set. For each field NAME, the configuration
	// also accepts "NAME_file", the path of a file with the value.
	Required []Field
	// Instead lists the login fields of a second way to log in, for a gateway with two APIs. An account
	// sets either all fields of Instead, or all fields of Required. If Instead is nil, the gateway has
	// one way to log in.
	Instead []Field
	// Optional lists the names of the fields that an account of this provider may set, besides the
	// login fields and the fields of Endpoint.
	Optional []string
	// MessageIDs reports whether the gateway returns an ID for each accepted message.
	MessageIDs bool
	// New opens a provider. The settings contain only fields that the provider knows. The error joins a
	// *FieldError for each mistake.
	New func(Settings) (Provider, error)
	// Actions are the gateway's own functions, for `tuma gateway NAME ACCOUNT ACTION`.
	Actions []Action
	// Codes are the known codes that the gateway may return in an answer to a send.
	Codes []GatewayCode
}

// Login returns the names of the fields in Required.
func (k Kind) Login() []string { return FieldNames(k.Required) }

// LoginFields returns the fields of both ways to log in.
func (k Kind) LoginFields() []Field { return slices.Concat(k.Required, k.Instead) }

// LoginOf returns the login fields that an account must set. If the account sets a field of k.Instead
// and no field of k.Required, these are the fields of k.Instead. Otherwise they are the fields of
// k.Required. The function isSet reports whether the account sets a field.
func (k Kind) LoginOf(isSet func(Field) bool) []Field {
	if slices.ContainsFunc(k.Instead, isSet) && !slices.ContainsFunc(k.Required, isSet) {
		return k.Instead
	}
	return k.Required
}

// FieldNames returns the names of the given fields, in the same order.
func FieldNames(fields []Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// LogIn sets every secret field in Required to the parameter "secret", and every other field in
// Required to the parameter "user". Tests use LogIn to log in at a simulated gateway of any kind.
func (k Kind) LogIn(s *Settings, user string, secret Secret) {
	for _, f := range k.Required {
		if f.Secret {
			s.SetLogin(f, secret.Reveal())
		} else {
			s.SetLogin(f, user)
		}
	}
}

// Fields returns the names of all fields that an account of this kind may have, sorted.
func (k Kind) Fields() []string {
	return slices.Sorted(slices.Values(slices.Concat(commonFields, FieldNames(k.LoginFields()), k.Optional)))
}

// Open opens a provider. The error joins a *FieldError for each mistake: fields that the provider
// does not know, missing fields, and bad values.
func (k Kind) Open(s Settings) (Provider, error) {
	var mistakes []error
	known := k.Fields()
	for _, field := range s.fields() {
		if !slices.Contains(known, field) {
			mistakes = append(mistakes, Mistake(field, "is not a setting of provider "+k.Name+"; its settings are "+strings.Join(known, ", ")))
		}
	}
	provider, err := k.New(s)
	if err = errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return provider, nil
}

// The method "fields" returns the names of the provider's own fields that are set. They are the login,
// the secrets and the options. Each group is sorted.
func (s Settings) fields() []string {
	return slices.Concat(slices.Sorted(maps.Keys(s.Login)), slices.Sorted(maps.Keys(s.Secrets)), slices.Sorted(maps.Keys(s.Options)))
}

// FieldError is one mistake in an account's configuration.
type FieldError struct {
	// Field is the field's name in the configuration.
	Field string
	// Err describes the mistake. It never contains a secret.
	Err error
}

// Error returns the field's name and the text of e.Err.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Mistake returns a *FieldError for the given field. The parameter "problem" describes the mistake and,
// where possible, the correct form.
func Mistake(field, problem string) error {
	return &FieldError{Field: field, Err: errors.New(problem)}
}

// Mistakes yields every *FieldError in err, including joined and wrapped errors, so that a caller
// can show each mistake with the line of its field.
func Mistakes(err error) iter.Seq[*FieldError] {
	return func(yield func(*FieldError) bool) { yieldMistakes(err, yield) }
}

func yieldMistakes(err error, yield func(*FieldError) bool) bool {
	if e, ok := err.(*FieldError); ok {
		return yield(e)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return yieldMistakes(e.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if !yieldMistakes(inner, yield) {
				return false
			}
		}
	}
	return true
}

// Missing returns nil if the value is set. If the value is empty, Missing returns a *FieldError for a
// missing field.
func Missing(field, value string) error {
	if value != "" {
		return nil
	}
	return Mistake(field, "is missing")
}
