package authentication

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
)

// loader reads configuration files.
type loader struct {
	decoder runtime.Decoder
	// ownIssuers are those of service account tokens, which no file may name.
	ownIssuers []string
}

func newLoader(ownIssuers []string) loader {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return loader{serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder(), ownIssuers}
}

// read returns the file's contents, what they say, and whether that can be.
func (l loader) read(file string) (string, *apiserver.AuthenticationConfiguration, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("authentication configuration: %w", err)
	}
	c, err := l.parse(data)
	if err != nil {
		return string(data), nil, fmt.Errorf("authentication configuration %s: %w", file, err)
	}
	return string(data), c, nil
}

func (l loader) parse(data []byte) (*apiserver.AuthenticationConfiguration, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	obj, err := runtime.Decode(l.decoder, data)
	if err != nil {
		return nil, err
	}
	c, ok := obj.(*apiserver.AuthenticationConfiguration)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not an AuthenticationConfiguration", obj)
	}
	return c, validation.ValidateAuthenticationConfiguration(authenticationcel.NewDefaultCompiler(), c, l.ownIssuers).ToAggregate()
}
