package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/providers"
)

// Serve is the serve section of the configuration.
type Serve struct {
	// PublicURL is the URL under which gateways reach `tuma serve`, without a slash at its end. It is
	// empty if it is not set.
	PublicURL string
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For header names the client.
	TrustedProxies []netip.Prefix
}

// The method "serve" reads the serve section.
func (r *reader) serve(e entry, target *Serve) {
	r.section(e, map[string]func(entry){
		"public_url":      func(e entry) { r.publicURL(e, &target.PublicURL) },
		"trusted_proxies": func(e entry) { r.proxies(e, &target.TrustedProxies) },
	})
}

// publicURL reads a URL. A query, a fragment or a login in the URL is a mistake.
func (r *reader) publicURL(e entry, target *string) {
	text, ok := r.text(e)
	if !ok {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		r.fail(e, "must be a URL without login, query and fragment, e.g. https://sms.example.org")
		return
	}
	*target = strings.TrimRight(text, "/")
}

// The method "proxies" reads a list of addresses and networks.
func (r *reader) proxies(e entry, target *[]netip.Prefix) {
	for _, item := range r.items(e) {
		text, ok := r.text(item)
		if !ok {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			r.fail(item, "%s must be an address or a network, e.g. 10.0.0.7 or 10.0.0.0/8", show(item))
			continue
		}
		*target = append(*target, prefix.Masked())
	}
}

// callbackKeys adds the keys of the account's callback secrets. It also adds the key callback_url, if the provider has
// this option.
func (r *reader) callbackKeys(acc *Account, options []string, keys map[string]func(entry)) {
	keys["callback_secret"] = func(e entry) { r.callbackSecrets(e, acc, r.string) }
	if slices.Contains(options, "callback_url") {
		keys["callback_url"] = func(e entry) { acc.callbackURL = e; r.bool(e, &acc.NamesCallback) }
	}
	keys["callback_secret_file"] = func(e entry) { r.callbackSecrets(e, acc, r.secretFile) }
}

// maxSecrets is how many secrets an account or a webhook may have at once.
const maxSecrets = 2

// callbackSecrets reads the callback secrets of an account. The function "read" reads one secret.
func (r *reader) callbackSecrets(e entry, acc *Account, read func(entry, *string)) {
	acc.HasCallbackKey = true
	acc.CallbackSecrets = r.secrets(e, acc.CallbackSecrets, read, providers.CheckPathSecret)
}

// The method "secrets" reads one secret, or a list of two. It appends to the list "known" each secret that the
// function "check" accepts. The function "read" reads one secret.
func (r *reader) secrets(e entry, known []providers.Secret, read func(entry, *string), check func(providers.Secret) error) []providers.Secret {
	items := []entry{e}
	if n := resolve(e.value); n != nil && n.Kind == yaml.SequenceNode {
		if items = r.items(e); len(items) == 0 || len(items) > maxSecrets {
			r.fail(e, "must be one secret, or a list of two while a secret is replaced")
			return known
		}
	}
	for _, item := range items {
		var text string
		if read(item, &text); text == "" {
			if isEmptyText(item) {
				r.lack(item, "has no value")
			}
			continue
		}
		secret := providers.Secret(text)
		if err := check(secret); err != nil {
			r.fail(item, "%v", err)
			continue
		}
		if slices.Contains(known, secret) {
			r.fail(item, "is the same secret as the first one: remove one, or set another secret")
			continue
		}
		known = append(known, secret)
	}
	return known
}
