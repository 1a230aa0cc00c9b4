#pragma once

/// Marks functions that device code calls too; nothing where no CUDA compiler reads them.
#ifdef __CUDACC__
#define ROAP_HOST_DEVICE __host__ __device__
#else
#define ROAP_HOST_DEVICE
#endif
