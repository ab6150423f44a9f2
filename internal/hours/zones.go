package hours

import (
	_ "embed"
	"strings"
	"sync"
	"time"
)

//go:embed zones.txt
var zoneTable string

var zonesByCountry = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(zoneTable) {
		if f := strings.Fields(line); len(f) > 1 && f[0] != "#" {
			out[f[0]] = f[1:]
		}
	}
	return out
})

// zonesOf names the time zones of a country.
func zonesOf(country string) []string { return zonesByCountry()[country] }

// Zone is the time zone of a country, by its ISO code in capitals; nil if it has none or
// several.
func Zone(country string) *time.Location {
	names := zonesOf(country)
	if len(names) != 1 {
		return nil
	}
	zone, err := time.LoadLocation(names[0])
	if err != nil {
		return nil
	}
	return zone
}
