"""What PaDiM is compared with: other methods behind the same interface. None of it is imported by PaDiM itself."""
