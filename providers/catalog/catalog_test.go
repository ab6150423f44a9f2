package catalog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

func mistakes(err error) (names []string) {
	for m := range providers.Mistakes(err) {
		names = append(names, m.Field)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fill returns settings in which the fields that the kind requires are set.
func fill(k providers.Kind) providers.Settings {
	var s providers.Settings
	k.LogIn(&s, "x", "x")
	return s
}

func TestCatalog_EveryKindOpensWithItsRequiredFields(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range catalog.Kinds() {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(k.Name) || slices.Contains(names, k.Name) {
			t.Errorf("the name %q is not unique or not in lower-case letters", k.Name)
		}
		names = append(names, k.Name)
		p, err := catalog.Open(k.Name, fill(k))
		if err != nil {
			t.Errorf("%s: got the error %v, want none", k.Name, err)
			continue
		}
		info := p.Info()
		if info.Name != k.Name || info.MaxRecipients < 1 || info.Fingerprint == "" {
			t.Errorf("%s: got %+v, want the name, a limit of at least 1 and a fingerprint", k.Name, info)
		}
		s := fill(k)
		s.BaseURL = k.BaseURL
		if same, err := catalog.Open(k.Name, s); err != nil || same.Info() != info {
			t.Errorf("%s: the settings with Kind.BaseURL give another Info than the defaults: %v", k.Name, err)
		}

		_, err = catalog.Open(k.Name, providers.Settings{})
		want := slices.Sorted(slices.Values(k.Login()))
		if got := mistakes(err); !slices.Equal(got, want) {
			t.Errorf("%s: without settings: got mistakes in %v, want %v", k.Name, got, want)
		}
		s = fill(k)
		s.MaxRecipients = 1_000_000
		s.BaseURL = "http://example.com"
		s.Options = map[string]string{"zebra": "x"}
		_, err = catalog.Open(k.Name, s)
		if got := mistakes(err); !slices.Equal(got, []string{"base_url", "max_recipients", "zebra"}) {
			t.Errorf("%s: got mistakes in %v, want base_url, max_recipients and zebra: %v", k.Name, got, err)
		}
	}
	if !slices.Equal(names, catalog.Names()) {
		t.Errorf("got names %v, want %v", catalog.Names(), names)
	}
}

func TestCatalog_UnknownProviderIsAFieldError(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Kobo", "unheard"} {
		p, err := catalog.Open(name, providers.Settings{})
		if e, ok := errors.AsType[*providers.FieldError](err); p != nil || !ok || e.Field != "provider" {
			t.Errorf("the name %q: got the provider %v and the error %v, want no provider and a mistake in the field provider", name, p, err)
		}
		if _, ok := catalog.Lookup(name); ok {
			t.Errorf("Lookup(%q): got a provider, want none", name)
		}
	}
}

func ExampleOpen() {
	_, err := catalog.Open("kobo", providers.Settings{Endpoint: providers.Endpoint{MaxRecipients: 100000}, Login: map[string]string{"user": "demo"}, Secrets: map[string]providers.Secret{"token": "t0p"}})
	for m := range providers.Mistakes(err) {
		fmt.Println(m)
	}
	// Output:
	// token: is not a setting of provider kobo; its settings are allow_http, base_url, callback_url, concurrency, max_recipients, pass, timeout, user
	// pass: is missing
	// max_recipients: must be 1 to 500: an account may lower the gateway's limit, but not raise it
}

// TestCatalog_EveryKindIsDocumentedAndFuzzed checks what the compiler cannot check for a new gateway: a row and
// a section in docs/gateways.md, a copy of the vendor's page and a fuzz target.
func TestCatalog_EveryKindIsDocumentedAndFuzzed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/gateways.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range catalog.Kinds() {
		if !strings.Contains(string(page), "| `"+k.Name+"` |") {
			t.Errorf("%s: the table of docs/gateways.md has no row with `%s`", k.Name, k.Name)
		}
		_, section, _ := strings.Cut(string(page), "\n### "+k.Name+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		for _, mark := range []string{"documented", "known", "assumed"} {
			if !strings.Contains(section, "\n| "+mark+" | ") {
				t.Errorf("%s: the section of docs/gateways.md has no row that begins with %q", k.Name, mark)
			}
		}
		if page, err := os.ReadFile("../" + k.Name + "/testdata/page.txt"); err != nil || len(page) < 200 {
			t.Errorf("%s: testdata/page.txt must hold the vendor's page: %v", k.Name, err)
		}
		tests, err := filepath.Glob("../" + k.Name + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tests, func(name string) bool {
			text, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(text), "\nfunc Fuzz")
		}) {
			t.Errorf("%s: the tests have no fuzz target, want at least one", k.Name)
		}
	}
}
