package hours

import (
	_ "embed"
	"strings"
	"sync"
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
