package planning

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/ledger"
)

func TestRender_Transliterates(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		spec  ledger.Spec
		value string
		want  string
	}{
		{"a quote in a value", ledger.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien", "Hi O'Brien"},
		{"quotes in the body", ledger.Spec{Body: "“Hi” {{name}}", Transliterate: true}, "Amina", `"Hi" Amina`},
		{"unchanged if not everything can be replaced", ledger.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien 🎉", "Hi O’Brien 🎉"},
		{"unchanged without Transliterate", ledger.Spec{Body: "Hi {{name}}"}, "O’Brien", "Hi O’Brien"},
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
