package providers

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const hunter = "hunter 2&co%"

func TestSecret_NeverPrinted(t *testing.T) {
	t.Parallel()
	type account struct {
		User string
		Pass Secret
		More []Secret
		Map  map[string]Secret
	}
	a := account{"u", hunter, []Secret{hunter}, map[string]Secret{"k": hunter}}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&b, verb+"\n", a.Pass)
		fmt.Fprintf(&b, verb+"\n", a)
		fmt.Fprintf(&b, verb+"\n", &a)
	}
	fmt.Fprintln(&b, a.Pass, a)
	fmt.Fprintln(&b, a.Pass.String(), a.Pass.GoString())
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		text, err := marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	text, err := a.Pass.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "pass", a.Pass, "account", a)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "pass", a.Pass, "account", a)
	for _, leak := range []string{"hunter", fmt.Sprintf("%x", hunter), fmt.Sprintf("%X", hunter), "hunter+2", "hunter%202"} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("the output holds %q, want no form of the secret:\n%s", leak, b.String())
		}
	}
	if !strings.Contains(b.String(), "[secret]") {
		t.Error("got output without [secret], want it in place of the secret")
	}
}

func TestSecret_ReadLikeAString(t *testing.T) {
	t.Parallel()
	var fromJSON, fromYAML struct{ Pass Secret }
	if err := json.Unmarshal([]byte(`{"Pass":"p"}`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte("pass: p"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if fromJSON.Pass.Reveal() != "p" || fromYAML.Pass.Reveal() != "p" {
		t.Errorf("got %q from JSON and %q from YAML, want p from both", fromJSON.Pass.Reveal(), fromYAML.Pass.Reveal())
	}
}

func ExampleSecret() {
	login := struct {
		User string
		Pass Secret
	}{"demo", "demopass"}
	fmt.Printf("%+v\n", login)
	fmt.Println(login.Pass.Reveal())
	// Output:
	// {User:demo Pass:[secret]}
	// demopass
}
