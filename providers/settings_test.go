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

type nobody struct{}

func (nobody) Info() Info                                    { return Info{Name: "nobody"} }
func (nobody) Send(context.Context, Batch) ([]Result, error) { return nil, nil }

func fields(err error) (names []string) {
	for m := range Mistakes(err) {
		names = append(names, m.Field)
	}
	return names
}

func TestOpenTellsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	kind := Kind{
		Name: "nobody", Required: []string{"token"}, Optional: []string{"callback_url"},
		New: func(s Settings) (Provider, error) {
			var err error
			if s.Token == "" {
				err = Mistake("token", "is missing")
			}
			return nobody{}, errors.Join(err, nil)
		},
	}
	full := Settings{
		BaseURL: "https://example.com", User: "u", Username: "u", Pass: hunter, Password: hunter, APIKey: hunter,
		Timeout: time.Second, MaxRecipients: 1, Concurrency: 1, AllowHTTP: true,
		Options: map[string]string{"callback_url": "x", "zebra": "x", "ant": "x"},
	}
	provider, err := kind.Open(full)
	if provider != nil {
		t.Error("a provider in spite of mistakes")
	}
	want := []string{"user", "username", "pass", "password", "api_key", "ant", "zebra", "token"}
	if got := fields(err); !slices.Equal(got, want) {
		t.Errorf("mistakes in %v, want %v", got, want)
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("a secret in %v", err)
	}
	if _, err := kind.Open(Settings{Token: "t", Options: map[string]string{"callback_url": "x"}}); err != nil {
		t.Error(err)
	}
}

func TestEveryStringSettingIsLookedAt(t *testing.T) {
	t.Parallel()
	// A field that set forgets could be written in a configuration without effect.
	kind := Kind{Name: "nobody", New: func(Settings) (Provider, error) { return nobody{}, nil }}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if field.Type.Kind() != reflect.String || field.Name == "BaseURL" {
			continue
		}
		var s Settings
		reflect.ValueOf(&s).Elem().FieldByIndex(field.Index).SetString("x")
		if _, err := kind.Open(s); len(fields(err)) != 1 {
			t.Errorf("%s is taken by a provider that does not know it: %v", field.Name, err)
		}
	}
}

func TestMistakesFindsNestedOnesAndStops(t *testing.T) {
	t.Parallel()
	err := errors.Join(Mistake("a", "x"), fmt.Errorf("more: %w", errors.Join(Mistake("b", "y"), errors.New("z"), Mistake("c", "z"))))
	if got := fields(err); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("found %v", got)
	}
	for m := range Mistakes(err) {
		if m.Field == "b" {
			break
		}
	}
	if got := fields(nil); got != nil {
		t.Errorf("found %v in nothing", got)
	}
	e, ok := errors.AsType[*FieldError](err)
	if !ok || e.Error() != "a: x" {
		t.Errorf("first mistake %v", e)
	}
}
