package process

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestFreeze_StopsAndThawContinues(t *testing.T) {
	t.Parallel()
	cmd := child(t, "stay")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strconv.Itoa(p.PID()) + "/stat"
	for deadline := time.Now().Add(10 * time.Second); ; {
		text, err := os.ReadFile(stat)
		if err == nil && strings.Contains(string(text), ") T ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stat file of the frozen process is %q, error %v; want the state T", text, err)
		}
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the continued process ended with the error %v; want none", err)
	}
}
