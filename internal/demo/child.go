package demo

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/process"
)

// child is a process that the demo has started.
type child struct {
	*process.Process
	log string
}

// startChild starts a process. It writes the output of the process to the file in the parameter
// "log".
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // name is this binary or redis-server; Kill ends the process
	cmd.Env = env
	p, err := process.StartLogged(cmd, log)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &child{Process: p, log: log}, nil
}

// The method "kill" ends the process (kill -9) and waits until it has ended. It does nothing if
// the process has already ended.
func (c *child) kill() error {
	if err := c.Kill(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// The method "tail" returns the last line of the process's output, at most 300 characters.
func (c *child) tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return console.OneLine(lines[len(lines)-1], 300)
}
