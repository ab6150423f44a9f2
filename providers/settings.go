package providers

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Settings are what an account's configuration says, for any provider; each
// provider takes the fields it knows and refuses the others. The field names in
// errors are the configuration's: "base_url", "api_key".
type Settings struct {
	// Endpoint is what every provider takes: "base_url", "timeout" and so on.
	Endpoint
	// User, Username, Pass, Password, APIKey and Token are the login, under the
	// names the vendor uses.
	User, Username                string
	Pass, Password, APIKey, Token Secret
	// Options are a provider's own further fields, by name, as they are written.
	Options map[string]string
}

// Bool returns a provider's own field that is true or false, or otherwise if it is
// not given. The error is a *FieldError.
func (s Settings) Bool(field string, otherwise bool) (bool, error) {
	switch s.Options[field] {
	case "":
		return otherwise, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, Mistake(field, "must be true or false")
}

// Int returns a provider's own field that is a whole number from low to high, or
// otherwise if it is not given. The error is a *FieldError.
func (s Settings) Int(field string, low, high, otherwise int) (int, error) {
	text := s.Options[field]
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, Mistake(field, fmt.Sprintf("must be a whole number from %d to %d", low, high))
	}
	return n, nil
}

// commonFields may be set for every provider.
var commonFields = []string{"base_url", "timeout", "max_recipients", "concurrency", "allow_http"}

// Kind describes a provider to the configuration: what it is called, what it
// wants to know, and how an account of it is opened.
type Kind struct {
	// Name is what configuration calls it.
	Name string
	// BaseURL is its default base URL.
	BaseURL string
	// Required and Optional are the fields of its own. Those common to every
	// provider are not repeated here.
	Required, Optional []string
	// New makes a provider of settings that hold no field it does not know. Its
	// error joins a *FieldError for each mistake.
	New func(Settings) (Provider, error)
	// Actions are what can be done at this gateway besides sending and asking, for
	// `tuma gateway NAME ACCOUNT ACTION`.
	Actions []Action
}

// Fields returns the names of all fields an account of this kind may have, sorted.
func (k Kind) Fields() []string {
	return slices.Sorted(slices.Values(slices.Concat(commonFields, k.Required, k.Optional)))
}

// Open makes a provider. Its error joins a *FieldError for each mistake: fields
// the provider does not know, those it misses, and bad values.
func (k Kind) Open(s Settings) (Provider, error) {
	var mistakes []error
	known := k.Fields()
	for field := range s.set() {
		if !slices.Contains(known, field) {
			mistakes = append(mistakes, Mistake(field, "is not a setting of provider "+k.Name+"; it knows "+strings.Join(known, ", ")))
		}
	}
	provider, err := k.New(s)
	if err = errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return provider, nil
}

// set yields the names of the fields that hold something, in a fixed order.
func (s Settings) set() iter.Seq[string] {
	fields := []struct {
		name string
		set  bool
	}{
		{"base_url", s.BaseURL != ""}, {"user", s.User != ""}, {"username", s.Username != ""},
		{"pass", s.Pass != ""}, {"password", s.Password != ""}, {"api_key", s.APIKey != ""}, {"token", s.Token != ""},
		{"timeout", s.Timeout != 0}, {"max_recipients", s.MaxRecipients != 0},
		{"concurrency", s.Concurrency != 0}, {"allow_http", s.AllowHTTP},
	}
	return func(yield func(string) bool) {
		for _, f := range fields {
			if f.set && !yield(f.name) {
				return
			}
		}
		options := make([]string, 0, len(s.Options))
		for name := range s.Options {
			options = append(options, name)
		}
		slices.Sort(options)
		for _, name := range options {
			if !yield(name) {
				return
			}
		}
	}
}

// FieldError is one mistake in an account's configuration.
type FieldError struct {
	// Field is the field's name in the configuration.
	Field string
	// Err says what is wrong with it, and never repeats a secret.
	Err error
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Mistake returns a *FieldError for field that says what is wrong with it.
func Mistake(field, what string) error {
	return &FieldError{Field: field, Err: errors.New(what)}
}

// Mistakes yields every *FieldError in err, joined and nested ones included, so
// that each can be told beside the line its field stands on.
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
