package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// routes reads the list of routes.
func (r *reader) routes(e entry) []ledger.Route {
	var out []ledger.Route
	for _, item := range r.items(e) {
		var route ledger.Route
		matched := false
		r.section(item, map[string]func(entry){
			"match": func(e entry) {
				if matched = true; isEmptyText(e) {
					return // every number
				}
				r.string(e, &route.Match)
				if strings.Trim(route.Match, "0123456789") != "" || len(route.Match) > 15 || strings.HasPrefix(route.Match, "0") {
					r.fail(e, `%s must be the first digits of numbers in international form, such as "254", or "" for all`, show(e))
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
			r.fail(item, `match is missing: the first digits of numbers, or "" for all`)
		}
		if len(route.Via) == 0 {
			r.fail(item, "via is missing: the accounts for these numbers")
		}
		r.routeLines = append(r.routeLines, item.line)
		out = append(out, route)
	}
	return out
}

func isEmptyText(e entry) bool {
	n := resolve(e.value)
	return n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == ""
}

// checkRoutes looks for routes to accounts that are not there.
func (r *reader) checkRoutes(c *config) {
	for i, route := range c.routes {
		for _, name := range route.Via {
			if name != "" && !slices.ContainsFunc(c.accounts, func(a *accountConfig) bool { return a.name == name }) {
				r.fail(entry{name: fmt.Sprintf("routes[%d]", i), line: r.routeLines[i]}, "there is no account %q", name)
			}
		}
	}
}

// country reads an ISO code.
func (r *reader) country(e entry, to *string) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	if !sms.ValidCountry(strings.ToUpper(s)) {
		r.fail(e, "%s is no country; take an ISO code such as KE", show(e))
		return
	}
	*to = strings.ToUpper(s)
}

// window is a time of day between which marketing may be sent, local to the
// recipient: both since midnight.
type window struct{ from, to time.Duration }

// defaultWindows are the strictest rules in force (Safaricom's for Kenya, the
// NCC's for Nigeria).
func defaultWindows() map[string]window {
	return map[string]window{"KE": {8 * time.Hour, 18 * time.Hour}, "NG": {8 * time.Hour, 20 * time.Hour}}
}

// windows reads sending windows by country: "08:00-18:00" or off; or off for all.
func (r *reader) windows(e entry, to *map[string]window) {
	if n := resolve(e.value); n != nil && n.Kind == yaml.ScalarNode {
		var off string
		if r.oneOf(e, &off, "off"); off != "" {
			*to = nil
		}
		return
	}
	for child := range r.entries(e) {
		country := strings.ToUpper(child.name)
		child.name = e.name + "." + child.name
		text, ok := r.text(child)
		switch {
		case !sms.ValidCountry(country):
			r.fail(child, "%q is no country; take an ISO code such as KE", country)
		case !ok:
		case text == "off":
			delete(*to, country)
		default:
			w, err := parseWindow(text)
			if err != nil {
				r.fail(child, `%s must be such as "08:00-18:00", or off`, show(child))
				continue
			}
			(*to)[country] = w
		}
	}
}

func parseWindow(s string) (window, error) {
	before, after, _ := strings.Cut(s, "-")
	from, err1 := parseClock(before)
	to, err2 := parseClock(after)
	if err := errors.Join(err1, err2); err != nil {
		return window{}, fmt.Errorf("parse window: %w", err)
	}
	if from >= to {
		return window{}, fmt.Errorf("parse window %q: it ends before it begins", s)
	}
	return window{from, to}, nil
}

// parseClock reads a time of day, "24:00" included.
func parseClock(s string) (time.Duration, error) {
	if s = strings.TrimSpace(s); s == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, err
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}
