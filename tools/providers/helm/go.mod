// The helm provider, built to be tested with. vbom.ml is gone.
module github.com/gantry-run/gantry/tools/providers/helm

go 1.15

require github.com/hashicorp/terraform-provider-helm v1.3.2

replace (
	github.com/Azure/go-autorest => github.com/Azure/go-autorest v13.3.3+incompatible
	vbom.ml/util => github.com/fvbommel/util v0.0.0-20180919145318-efcd4e0f9787
)
