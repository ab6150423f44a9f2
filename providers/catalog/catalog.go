// Package catalog lists all providers by name. Add every new gateway to the list in this package.
// Only programs and tests import the package, so that no other code depends on a particular
// gateway.
package catalog

import (
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/africastalking"
	"github.com/tuma-sms/tuma/providers/connectmedia"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/providers/qserve"
	"github.com/tuma-sms/tuma/providers/textconnect"
)

// Kinds returns every provider, in the order in which output lists them.
func Kinds() []providers.Kind {
	return []providers.Kind{
		kobo.Kind(),
		textconnect.Kind(),
		africastalking.Kind(),
		qserve.Kind(),
		connectmedia.Kind(),
	}
}

// Lookup returns the provider with the given name; ok is false if no provider has that name.
func Lookup(name string) (kind providers.Kind, ok bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k providers.Kind) bool { return k.Name == name })
	if i < 0 {
		return providers.Kind{}, false
	}
	return kinds[i], true
}

// Logins returns the names of the login fields of each provider, by provider name.
func Logins() map[string][]string {
	out := map[string][]string{}
	for _, k := range Kinds() {
		out[k.Name] = k.Login()
	}
	return out
}

// Names returns the names of all providers, in the order of Kinds.
func Names() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Open returns the named provider with an account's settings. Its error joins a
// *providers.FieldError for each mistake; providers.Mistakes yields these errors.
func Open(provider string, s providers.Settings) (providers.Provider, error) {
	kind, ok := Lookup(provider)
	if !ok {
		what := "is not a provider; there is " + strings.Join(Names(), ", ")
		if provider == "" {
			what = "is missing; there is " + strings.Join(Names(), ", ")
		}
		return nil, providers.Mistake("provider", what)
	}
	return kind.Open(s)
}
