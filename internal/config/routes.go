package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// The method "routes" reads the list of routes.
func (r *reader) routes(e entry) []campaign.Route {
	var out []campaign.Route
	for _, item := range r.items(e) {
		var route campaign.Route
		matched := false
		r.section(item, map[string]func(entry){
			"match": func(e entry) {
				if matched = true; isEmptyText(e) {
					return // an empty prefix is allowed, because it matches every number
				}
				r.string(e, &route.Match)
				if strings.Trim(route.Match, "0123456789") != "" || len(route.Match) > 15 || strings.HasPrefix(route.Match, "0") {
					r.fail(e, `%s must be the first digits of numbers in international form, such as "254", or "" for all numbers`, show(e))
				}
			},
			"via": func(e entry) {
				for _, account := range r.items(e) {
					var name string
					r.string(account, &name)
					route.Via = append(route.Via, name)
				}
			},
		})
		if !matched {
			r.fail(item, `the key "match" is missing: set it to the first digits of numbers, such as "254", or "" for all numbers`)
		}
		if len(route.Via) == 0 {
			r.fail(item, `the key "via" is missing: list the accounts that carry these numbers`)
		}
		r.routeLines = append(r.routeLines, item.line)
		out = append(out, route)
	}
	return out
}

// isEmptyText reports whether the value is an explicit empty string (""). It returns false for
// a missing value.
func isEmptyText(e entry) bool {
	n := resolve(e.value)
	return n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == ""
}

// checkRoutes records a mistake for each route that names an unknown account.
func (r *reader) checkRoutes(c *Config) {
	for i, route := range c.Routes {
		for _, name := range route.Via {
			if name != "" && !slices.ContainsFunc(c.Accounts, func(a *Account) bool { return a.Name == name }) {
				r.fail(entry{name: fmt.Sprintf("routes[%d]", i), line: r.routeLines[i]}, "unknown account %q: add it under accounts", name)
			}
		}
	}
}

// The method "country" reads a two-letter ISO country code.
func (r *reader) country(e entry, target *string) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	if !sms.ValidCountry(strings.ToUpper(s)) {
		r.fail(e, "unknown country %s: use a two-letter ISO code, such as KE", show(e))
		return
	}
	*target = strings.ToUpper(s)
}
