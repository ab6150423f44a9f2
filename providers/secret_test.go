package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const hunter = "hunter 2&co%"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	type account struct {
		User string
		Pass Secret
		More []Secret
		Map  map[string]Secret
	}
	a := account{"u", hunter, []Secret{hunter}, map[string]Secret{"k": hunter}}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&b, verb+"\n", a.Pass)
		fmt.Fprintf(&b, verb+"\n", a)
		fmt.Fprintf(&b, verb+"\n", &a)
	}
	fmt.Fprintln(&b, a.Pass, a)
	fmt.Fprintln(&b, a.Pass.String(), a.Pass.GoString())
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		text, err := marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	text, err := a.Pass.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "pass", a.Pass, "account", a)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "pass", a.Pass, "account", a)
	for _, leak := range []string{"hunter", fmt.Sprintf("%x", hunter), fmt.Sprintf("%X", hunter), "hunter+2", "hunter%202"} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("printed the secret %q:\n%s", leak, b.String())
		}
	}
	if !strings.Contains(b.String(), "[secret]") {
		t.Error("got no [secret] in the output")
	}
}

func TestSecretReadsLikeAString(t *testing.T) {
	t.Parallel()
	var fromJSON, fromYAML struct{ Pass Secret }
	if err := json.Unmarshal([]byte(`{"Pass":"p"}`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte("pass: p"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if fromJSON.Pass.Reveal() != "p" || fromYAML.Pass.Reveal() != "p" {
		t.Errorf("got %q from JSON and %q from YAML, want p from both", fromJSON.Pass.Reveal(), fromYAML.Pass.Reveal())
	}
}

func TestScrubbing(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientConfig{BaseURL: "https://example.com", Secrets: []Secret{hunter, "hunter 2&co%-longer", "", "tok\"en"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "bad login " + hunter + "!", "bad login [secret]!"},
		{"longer one first", hunter + "-longer", "[secret]"},
		{"in a form", "pass=" + url.QueryEscape(hunter), "pass=[secret]"},
		{"in a path", "/" + url.PathEscape(hunter), "/[secret]"},
		{"quoted", fmt.Sprintf("%q", "tok\"en"), `"[secret]"`},
		{"a URL's login", `proxy "http://joe:pw@proxy:3128/x" and http://a/b@c`, `proxy "http://[secret]@proxy:3128/x" and http://a/b@c`},
		{"two URLs", "https://u@h https://u:p@q@h", "https://[secret]@h https://[secret]@h"},
		{"nothing", "connection refused", "connection refused"},
	} {
		if got := c.Scrub(tc.in); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	inner := &url.Error{Op: "Post", URL: "https://x/?pass=" + url.QueryEscape(hunter), Err: context.DeadlineExceeded}
	scrubbed := c.scrub(inner)
	if !errors.Is(scrubbed, context.DeadlineExceeded) || errors.Is(scrubbed, context.Canceled) {
		t.Error("errors.Is does not match the original error's chain")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, scrubbed); strings.Contains(text, "hunter") {
			t.Errorf("%s: the printed text holds the secret: %s", verb, text)
		}
	}
	if e, ok := errors.AsType[*url.Error](scrubbed); ok {
		t.Errorf("the original error is accessible: %v", e)
	}
}

func ExampleSecret() {
	login := struct {
		User string
		Pass Secret
	}{"demo", "demopass"}
	fmt.Printf("%+v\n", login)
	fmt.Println(login.Pass.Reveal())
	// Output:
	// {User:demo Pass:[secret]}
	// demopass
}
