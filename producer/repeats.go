package producer

import (
	"iter"

	"github.com/tuma-sms/tuma/internal/planning"
)

// CountOtherTexts returns a sequence of the same recipients. While Enqueue reads this sequence,
// CountOtherTexts counts recipients in *n. It counts those that planning will skip as duplicates
// although their text differs from the text that is sent to their number. After Enqueue, *n shows
// whether Campaign.Duplicates matters. Numbers in national format belong to Campaign.Country. If
// Campaign.Country is empty, they belong to the given country.
//
// The count is an estimate: it includes recipients that planning skips for another reason, such as an
// opt-out. Each reading of the sequence starts at 0. Memory grows by up to 25 bytes for each recipient
// of a campaign with merge fields.
func CountOtherTexts(campaign Campaign, country string, recipients iter.Seq2[Recipient, error], n *int) iter.Seq2[Recipient, error] {
	spec := specOf(campaign)
	if spec.Country != "" {
		country = spec.Country
	}
	return func(yield func(Recipient, error) bool) {
		*n = 0
		own, err := newPersonal(spec)
		if err != nil {
			yield(Recipient{}, err)
			return
		}
		repeats, err := planning.NewRepeats(spec, country)
		if err != nil {
			yield(Recipient{}, err)
			return
		}
		for r, err := range recipients {
			if err == nil && own != nil {
				if values, bad := own.read(r); bad == nil && repeats.Add(r.Number, values) { // the consumer reports bad
					*n++
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
