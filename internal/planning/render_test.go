package planning

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func TestRender_Transliterates(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		spec  campaign.Spec
		value string
		want  string
	}{
		{"a quote in a value", campaign.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien", "Hi O'Brien"},
		{"quotes in the body", campaign.Spec{Body: "“Hi” {{name}}", Transliterate: true}, "Amina", `"Hi" Amina`},
		{"unchanged if not everything can be replaced", campaign.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien 🎉", "Hi O’Brien 🎉"},
		{"unchanged without Transliterate", campaign.Spec{Body: "Hi {{name}}"}, "O’Brien", "Hi O’Brien"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			x.spec.Fields = []string{"name"}
			r, err := newRenderer(x.spec)
			if err != nil {
				t.Fatal(err)
			}
			if body, reason, _ := r.render([]string{x.value}); body != x.want || reason != "" {
				t.Errorf("got %q (reason %q), want %q", body, reason, x.want)
			}
		})
	}
}
