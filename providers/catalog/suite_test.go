package catalog_test

import (
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) { providertest.Main(m) }

// TestCatalog_EveryKindPassesTheSuite runs the suite on every provider of the catalog. Every check
// of the suite must run.
func TestCatalog_EveryKindPassesTheSuite(t *testing.T) {
	t.Parallel()
	t.Run("entry", func(t *testing.T) {
		for _, kind := range catalog.Kinds() {
			t.Run(kind.Name, func(t *testing.T) {
				t.Parallel()
				providertest.Run(t, kind, catalog.Simulators()[kind.Name])
			})
		}
	})
	t.Run("all of it", func(t *testing.T) {
		for _, name := range catalog.Names() {
			if ran, all := providertest.Ran(name), providertest.Checks(); len(all) == 0 || !slices.Equal(ran, all) {
				t.Errorf("%s completed %d of %d checks, want all in order: %q", name, len(ran), len(all), ran)
			}
		}
	})
}
