package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

const hunter = "hunter 2&co%"

func TestScrub_HidesEverySecret(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientConfig{BaseURL: "https://example.com", Secrets: []providers.Secret{hunter, "hunter 2&co%-longer", "", "tok\"en"}})
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
		t.Error("errors.Is must match the original error's chain, and no other error")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, scrubbed); strings.Contains(text, "hunter") {
			t.Errorf("%s: the printed text holds the secret, want it masked: %s", verb, text)
		}
	}
	if e, ok := errors.AsType[*url.Error](scrubbed); ok {
		t.Errorf("got the original error %v through errors.AsType, want it hidden", e)
	}
}
