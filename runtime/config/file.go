package config

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Completer is a process's configuration: it fills its defaults and reports
// every field that is wrong.
type Completer interface{ Complete() error }

// Load reads a configuration file into c, completes it, and refuses a field
// that it does not know.
func Load(path string, c Completer) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if err := yaml.UnmarshalStrict(data, c); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := c.Complete(); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

// Marshal renders a configuration as the YAML that [Load] reads. The same value
// always gives the same bytes, so that comparing them with a host's file tells
// drift.
func Marshal(c Completer) ([]byte, error) { return yaml.Marshal(c) }
