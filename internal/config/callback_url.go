package config

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// callbackURLs sets Worker.CallbackURL of each account that has the key callback_url. Each call tells the
// gateway to post the delivery reports below this URL. callbackURLs needs the section "serve", which may follow the
// accounts, so the reader calls callbackURLs last.
func (r *reader) callbackURLs(c *Config) {
	for _, acc := range c.Accounts {
		if !acc.NamesCallback {
			continue
		}
		e := acc.callbackURL
		switch {
		case acc.Worker.Reports == worker.ReportsOff:
			r.fail(e, `needs delivery reports: remove the line "reports: off"`)
		case !acc.HasCallbackKey:
			r.fail(e, "needs a callback_secret, which is part of the URL")
		case c.Serve.PublicURL == "":
			r.fail(e, "needs serve.public_url, under which the gateway reaches tuma serve")
		case !isSafe(c.Serve.PublicURL):
			r.fail(e, "needs an https address as serve.public_url, because the URL contains a secret")
		case len(acc.CallbackSecrets) > 0:
			acc.Worker.CallbackURL = providers.Secret(c.Serve.PublicURL + "/callbacks/" + acc.Name + "/" + acc.CallbackSecrets[0].Reveal() + "/delivery/")
		}
	}
}

// isSafe reports whether a URL may contain a secret. This is allowed if the scheme is https, or if the host is
// this machine.
func isSafe(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(u.Scheme, "https") || strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
