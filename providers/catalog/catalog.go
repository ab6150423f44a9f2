// Package catalog lists the client and the simulator of every gateway, by name. For a new gateway, add
// one line to the list in this package. Only programs and tests import the package, so that no other
// code depends on a particular gateway.
package catalog

import (
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/africastalking"
	"github.com/tuma-sms/tuma/providers/africastalking/africastalkingsim"
	"github.com/tuma-sms/tuma/providers/connectmedia"
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/providers/qserve"
	"github.com/tuma-sms/tuma/providers/qserve/qservesim"
	"github.com/tuma-sms/tuma/providers/textconnect"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// gateway is one entry of the catalog.
type gateway struct {
	kind     providers.Kind
	simulate simulator.NewVendor
}

// gateways returns every gateway, in the order in which output lists them.
func gateways() []gateway {
	return []gateway{
		{kobo.Kind(), kobosim.New},
		{textconnect.Kind(), textconnectsim.New},
		{africastalking.Kind(), africastalkingsim.New},
		{qserve.Kind(), qservesim.New},
		{connectmedia.Kind(), connectmediasim.New},
	}
}

// Kinds returns every provider, in the order in which output lists them.
func Kinds() []providers.Kind {
	var kinds []providers.Kind
	for _, g := range gateways() {
		kinds = append(kinds, g.kind)
	}
	return kinds
}

// Infos returns the facts about each provider with default settings, by provider name. It is for tools
// that have an account at each provider. The Fingerprint of each Info is computed from an invented
// login.
func Infos() map[string]providers.Info {
	out := map[string]providers.Info{}
	for _, k := range Kinds() {
		var s providers.Settings
		k.LogIn(&s, "user", "secret")
		p, err := k.Open(s)
		if err != nil {
			panic("catalog: " + err.Error()) // this cannot happen, because the tests open every kind with only a login
		}
		out[k.Name] = p.Info()
	}
	return out
}

// Simulate returns a server that simulates every gateway.
func Simulate(o simulator.Options) *simulator.Server { return simulator.New(o, Simulators()) }

// Simulators returns the simulators of every gateway, by provider name.
func Simulators() map[string]simulator.NewVendor {
	out := map[string]simulator.NewVendor{}
	for _, g := range gateways() {
		out[g.kind.Name] = g.simulate
	}
	return out
}

// Lookup returns the provider with the given name. The result "ok" is false if no provider has that
// name.
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

// Open returns a provider with the given name and settings. The returned error joins a
// *providers.FieldError for each mistake. providers.Mistakes yields these errors.
func Open(provider string, s providers.Settings) (providers.Provider, error) {
	kind, ok := Lookup(provider)
	if !ok {
		what := "is not a provider; the providers are " + strings.Join(Names(), ", ")
		if provider == "" {
			what = "is missing; there is " + strings.Join(Names(), ", ")
		}
		return nil, providers.Mistake("provider", what)
	}
	return kind.Open(s)
}
