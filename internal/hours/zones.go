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

// zonesOf returns the names of the time zones of the country with the given ISO code.
func zonesOf(country string) []string { return zonesByCountry()[country] }

// Zone returns the time zone of the country with the given ISO code, in capitals. It returns nil
// unless the country has exactly one time zone.
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
