package ledger

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

func TestIncompatibilities_BodyTooLongForTheAccount(t *testing.T) {
	t.Parallel()
	card := campaign.Card{Name: "tc", Sender: "ACME", Info: providers.Info{MaxChars: 459, MaxSegments: 3, SenderAlphaMax: 11}}
	for _, tt := range []struct{ name, body, want string }{
		{"fits", strings.Repeat("x", 459), ""},
		{"letters", strings.Repeat("x", 460), "body the body has 460 characters; account tc allows 459"},
		{"escaped characters", strings.Repeat("€", 230), "body the body has 460 characters in GSM-7, where some characters count twice; account tc allows 459"},
		{"an escape pair that would be cut", strings.Repeat("{", 229), "body the body takes 4 segments in GSM-7; account tc allows 3"},
		{"one quote", strings.Repeat("x", 201) + "’", "body the body takes 4 segments in UCS-2; account tc allows 3"},
		{"emoji", strings.Repeat("😀", 230), "body the body has 460 characters in UCS-2, where some characters count twice; account tc allows 459"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range card.Incompatibilities("", tt.body, false) {
				got = append(got, m.Field+" "+m.Problem)
			}
			if first := strings.Join(got, "\n"); !strings.HasPrefix(first, tt.want) || tt.want == "" && first != "" {
				t.Errorf("Incompatibilities = %v; want %v", got, tt.want)
			}
		})
	}
}
