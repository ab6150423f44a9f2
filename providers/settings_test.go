package providers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type stub struct{}

func (stub) Info() Info                                    { return Info{Name: "stub"} }
func (stub) Send(context.Context, Batch) ([]Result, error) { return nil, nil }

func fields(err error) (names []string) {
	for m := range Mistakes(err) {
		names = append(names, m.Field)
	}
	return names
}

func TestKind_OpenReportsEveryMistake(t *testing.T) {
	t.Parallel()
	kind := Kind{
		Name: "stub", Required: []Field{{Name: "token", Secret: true}}, Optional: []string{"callback_url"},
		New: func(s Settings) (Provider, error) {
			var err error
			if s.Secrets["token"] == "" {
				err = Mistake("token", "is missing")
			}
			return stub{}, errors.Join(err, nil)
		},
	}
	full := Settings{
		Endpoint: Endpoint{BaseURL: "https://example.com", Timeout: time.Second, MaxRecipients: 1, Concurrency: 1, AllowHTTP: true},
		Login:    map[string]string{"user": "u", "username": "u"}, Secrets: map[string]Secret{"pass": hunter, "password": hunter, "api_key": hunter},
		Options: map[string]string{"callback_url": "x", "zebra": "x", "ant": "x"},
	}
	provider, err := kind.Open(full)
	if provider != nil {
		t.Error("got a provider in spite of mistakes, want none")
	}
	want := []string{"user", "username", "api_key", "pass", "password", "ant", "zebra", "token"}
	if got := fields(err); !slices.Equal(got, want) {
		t.Errorf("mistakes in %v, want %v", got, want)
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error holds a secret, want none: %v", err)
	}
	if _, err := kind.Open(Settings{Secrets: map[string]Secret{"token": "t"}, Options: map[string]string{"callback_url": "x"}}); err != nil {
		t.Error(err)
	}
}

func TestKind_OpenChecksEveryStringSetting(t *testing.T) {
	t.Parallel()
	// If the method Settings.fields omitted a field, a configuration could set that field
	// without any effect.
	kind := Kind{Name: "stub", New: func(Settings) (Provider, error) { return stub{}, nil }}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if field.Type.Kind() != reflect.String || field.Name == "BaseURL" {
			continue
		}
		var s Settings
		reflect.ValueOf(&s).Elem().FieldByIndex(field.Index).SetString("x")
		if _, err := kind.Open(s); len(fields(err)) != 1 {
			t.Errorf("the field %s of a provider that does not know it: got the error %v, want one mistake", field.Name, err)
		}
	}
}

func TestSettings_BoolAndIntOptions(t *testing.T) {
	t.Parallel()
	s := Settings{Options: map[string]string{"on": "true", "off": "false", "odd": "yes", "n": "7", "x": "7.5"}}
	for field, want := range map[string]string{"on": "true <nil>", "off": "false <nil>", "none": "true <nil>", "odd": "false odd: must be true or false"} {
		got, err := s.Bool(field, true)
		if text := fmt.Sprint(got, " ", err); text != want {
			t.Errorf("%s: got %s, want %s", field, text, want)
		}
	}
	for _, c := range []struct {
		field     string
		low, high int
		want      string
	}{
		{"n", 1, 7, "7 <nil>"}, {"n", 8, 9, "0 n: must be an integer from 8 to 9"}, {"n", 1, 6, "0 n: must be an integer from 1 to 6"},
		{"none", 1, 2, "5 <nil>"}, {"x", 1, 9, "0 x: must be an integer from 1 to 9"},
	} {
		got, err := s.Int(c.field, c.low, c.high, 5)
		if text := fmt.Sprint(got, " ", err); text != c.want {
			t.Errorf("%s: got %s, want %s", c.field, text, c.want)
		}
	}
}

func TestMistakes_FindsNestedOnesAndStops(t *testing.T) {
	t.Parallel()
	err := errors.Join(Mistake("a", "x"), fmt.Errorf("more: %w", errors.Join(Mistake("b", "y"), errors.New("z"), Mistake("c", "z"))))
	if got := fields(err); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got mistakes in %v, want a, b and c", got)
	}
	for m := range Mistakes(err) {
		if m.Field == "b" {
			break
		}
	}
	if got := fields(nil); got != nil {
		t.Errorf("mistakes in a nil error: got %v, want none", got)
	}
	e, ok := errors.AsType[*FieldError](err)
	if !ok || e.Error() != "a: x" {
		t.Errorf("got the first mistake %v, want \"a: x\"", e)
	}
}

// A gateway may have login fields with any names, because no other package lists the names of
// login fields.
func TestKind_LoginFieldsOfAnyName(t *testing.T) {
	t.Parallel()
	var got Settings
	kind := Kind{
		Name: "odd", Required: []Field{{Name: "account_sid"}, {Name: "client_id"}, {Name: "signing_key", Secret: true}},
		New: func(s Settings) (Provider, error) {
			got = s
			return stub{}, nil
		},
	}
	if names := kind.Login(); !slices.Equal(names, []string{"account_sid", "client_id", "signing_key"}) {
		t.Errorf("got the login fields %q, want account_sid, client_id and signing_key", names)
	}
	var s Settings
	for _, f := range kind.Required {
		if s.HasLogin(f) {
			t.Errorf("HasLogin(%s) is true for empty settings, want false", f.Name)
		}
	}
	kind.LogIn(&s, "acme", hunter)
	if _, err := kind.Open(s); err != nil {
		t.Fatal(err)
	}
	if got.Login["account_sid"] != "acme" || got.Login["client_id"] != "acme" || got.Secrets["signing_key"] != hunter || len(got.Login)+len(got.Secrets) != 3 {
		t.Errorf("the provider got the settings %+v, want the three login fields", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, hunter) {
		t.Errorf("the printed settings hold a secret, want it masked: %s", text)
	}
	s.SetLogin(Field{Name: "password", Secret: true}, "x")
	if _, err := kind.Open(s); !slices.Equal(fields(err), []string{"password"}) {
		t.Errorf("a field of another gateway: got the error %v, want a mistake in the field password", err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	if err := Missing("token", "x"); err != nil {
		t.Error(err)
	}
	if err := Missing("token", ""); err == nil || err.Error() != "token: is missing" || !slices.Equal(fields(err), []string{"token"}) {
		t.Errorf("a missing token: got the error %v, want \"token: is missing\"", err)
	}
}
