package install

import (
	"fmt"
	"slices"

	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// WithEncryption is the input with other keys that encrypt Secrets.
func (in Input) WithEncryption(file []byte) Input {
	in.Credentials = append(slices.DeleteFunc(slices.Clone(in.Credentials), func(f step.File) bool { return f.Path == config.EncryptionConfigFile }),
		encryptionFile(file))
	return in
}

// Encrypt are the steps by which a master's API server takes the keys of its input.
func Encrypt(in Input) ([]step.Step, error) {
	rest, err := Rest(in)
	if err != nil {
		return nil, err
	}
	var steps []step.Step
	for _, f := range in.Credentials {
		if f.Path == config.EncryptionConfigFile {
			steps = append(steps, step.Step{Name: "encryption", Changes: []step.Change{step.Files{Files: []step.File{f}}}})
		}
	}
	name := startOf(config.APIServer)
	for _, s := range rest {
		if s.Name == name {
			steps = append(steps, s)
		}
	}
	if len(steps) != 2 { //nolint:mnd // both were found
		return nil, fmt.Errorf("node %s has no API server that encrypts", in.Node.Host.Name)
	}
	return steps, nil
}
