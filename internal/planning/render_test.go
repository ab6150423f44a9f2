package planning

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/ledger"
)

func TestWhatIsRenderedIsTransliterated(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		spec  ledger.Spec
		value string
		want  string
	}{
		{"a value's quote", ledger.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien", "Hi O'Brien"},
		{"the body's own", ledger.Spec{Body: "“Hi” {{name}}", Transliterate: true}, "Amina", `"Hi" Amina`},
		{"not what cannot all be said", ledger.Spec{Body: "Hi {{name}}", Transliterate: true}, "O’Brien 🎉", "Hi O’Brien 🎉"},
		{"not unasked", ledger.Spec{Body: "Hi {{name}}"}, "O’Brien", "Hi O’Brien"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			x.spec.Fields = []string{"name"}
			r, err := newRenderer(x.spec)
			if err != nil {
				t.Fatal(err)
			}
			if body, reason, _ := r.render([]string{x.value}); body != x.want || reason != "" {
				t.Errorf("%q (%s), want %q", body, reason, x.want)
			}
		})
	}
}
