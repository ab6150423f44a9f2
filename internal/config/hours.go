package config

import (
	"strings"
	"time"
	_ "time/tzdata" // embeds time zones, because the machine may lack them

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// defaultWindows returns the default sending hours of marketing. They follow the strictest rules in
// force: Safaricom's rules for Kenya, and the rules of the NCC for Nigeria.
func defaultWindows() map[string]worker.Hours {
	return map[string]worker.Hours{"KE": {From: 8 * time.Hour, To: 18 * time.Hour}, "NG": {From: 8 * time.Hour, To: 20 * time.Hour}}
}

// The method "windows" reads the sending hours into the parameter "target". The value is either
// "off" for all countries, or a mapping. The mapping maps a country to hours such as
// "08:00-18:00" or to "off". For a country that the mapping does not name, the hours in the
// parameter "target" do not change.
func (r *reader) windows(e entry, target *map[string]worker.Hours) {
	if n := resolve(e.value); n != nil && n.Kind == yaml.ScalarNode {
		var off string
		if r.oneOf(e, &off, "off"); off != "" {
			*target = nil
		}
		return
	}
	for child := range r.entries(e) {
		country := strings.ToUpper(child.name)
		child.name = e.name + "." + child.name
		text, ok := r.text(child)
		switch {
		case !sms.ValidCountry(country):
			r.fail(child, "unknown country %q: use a two-letter ISO code, such as KE", country)
		case !ok:
		case text == "off":
			delete(*target, country)
		default:
			h, err := worker.ParseHours(text)
			if err != nil {
				r.fail(child, `%s must be hours, such as "08:00-18:00", or off`, show(child))
				continue
			}
			if _, err := hours.In(country, hours.Hours(h)); err != nil {
				r.fail(child, "%v", err)
				continue
			}
			(*target)[country] = h
		}
	}
}
