"""The development PKI, shaped like IGC-Santé. It makes certificates; `mssante.trust` judges them."""
