package announce

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// classOf returns the class of a campaign. A campaign without a class is marketing.
func classOf(sum ledger.Summary) campaign.Class { return cmp.Or(sum.Spec.Class, campaign.Marketing) }

// sortedReasons returns the reasons for which recipients were skipped, in alphabetical order.
func sortedReasons(reasons map[string]int) []string { return slices.Sorted(maps.Keys(reasons)) }

// perSecond returns the rate of n messages in a duration, in messages a second, with one decimal.
func perSecond(n int, took time.Duration) float64 {
	return math.Round(float64(n)/took.Seconds()*10) / 10
}
