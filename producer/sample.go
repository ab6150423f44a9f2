package producer

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// The type "samples" selects a few messages of a campaign: the first, the longest, the shortest and some
// random messages.
type samples struct {
	seen                     int
	first, longest, shortest sampled
	others                   []sampled
	random                   *rand.Rand
}

type sampled struct {
	campaign.Planned
	stream   int
	line     int
	body     string
	segments int
}

// shownSamples is the maximum number of samples in a Forecast.
const shownSamples = 5

// The method "offer" gets a message. It keeps the first, the longest and the shortest message so
// far, and a random choice of all messages.
func (s *samples) offer(stream int, x campaign.Planned, line int, body string, segments int) {
	if s.random == nil {
		// The seed is fixed, so that the same list gives the same samples.
		s.random = rand.New(rand.NewPCG(1, 2))
	}
	one := sampled{x, stream, line, body, segments}
	s.seen++
	if s.first.Row == 0 || x.Row < s.first.Row {
		s.first = one
	}
	if s.longest.Row == 0 || len(body) > len(s.longest.body) {
		s.longest = one
	}
	if s.shortest.Row == 0 || len(body) < len(s.shortest.body) {
		s.shortest = one
	}
	if len(s.others) < shownSamples {
		s.others = append(s.others, one)
	} else if i := s.random.IntN(s.seen); i < shownSamples {
		s.others[i] = one
	}
}

// picked returns up to shownSamples of the messages that the method "offer" has kept, sorted
// by row. The function "account" returns the name of a stream's account.
func (s *samples) picked(account func(stream int) string) []Sample {
	out := []Sample{}
	for _, x := range append([]sampled{s.first, s.longest, s.shortest}, s.others...) {
		if x.Row == 0 || len(out) == shownSamples || slices.ContainsFunc(out, func(y Sample) bool { return y.Row == x.Row }) {
			continue
		}
		out = append(out, Sample{Row: x.Row, Line: x.line, MSISDN: x.MSISDN.String(), Account: account(x.stream), Body: x.body, Segments: x.segments,
			Encoding: sms.EncodingOf(x.body).String()})
	}
	slices.SortFunc(out, func(a, b Sample) int { return cmp.Compare(a.Row, b.Row) })
	return out
}
